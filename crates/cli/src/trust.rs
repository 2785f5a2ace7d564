//! The private CAs that TLS connections trust.

use std::path::PathBuf;

use engine::trust::Trust;

/// The variables of OpenSSL and Go.
pub fn trust() -> Trust {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let folders = set("SSL_CERT_DIR").map(|folders| std::env::split_paths(&folders).collect());
    Trust { file: set("SSL_CERT_FILE").map(PathBuf::from), folders: folders.unwrap_or_default() }
}
