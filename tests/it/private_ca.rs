//! A private CA, as companies have one.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::quoted;

/// A CA, and a certificate of it for 127.0.0.1.
pub struct Ca {
    pub certificate: PathBuf,
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Ca {
    pub fn new(folder: &Path) -> Self {
        let [certificate, ca_key, chain, key] =
            ["ca.pem", "ca.key", "server.pem", "server.key"].map(|name| folder.join(name));
        let new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        let script = format!(
            "set -e\n{new} -subj '/CN=private CA' -keyout {ca_key} -out {ca}\n\
             {new} -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
             -CA {ca} -CAkey {ca_key} -keyout {key} -out {chain}\n",
            ca = quoted(&certificate),
            ca_key = quoted(ca_key),
            key = quoted(&key),
            chain = quoted(&chain)
        );
        let made = Command::new("/bin/sh").args(["-c", &script]).output().expect("starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { certificate, chain, key }
    }
}
