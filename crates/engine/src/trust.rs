//! Certificates of private CAs, which notifications and downloads trust in addition to the built-in roots.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use volume::{
    error::{Code, Error, IoContext, Result},
    presence,
};

/// Where the certificates are, as OpenSSL and Go understand `SSL_CERT_FILE` and `SSL_CERT_DIR`.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// A PEM file.
    pub file: Option<PathBuf>,
    /// Folders of PEM files.
    pub folders: Vec<PathBuf>,
}

impl Trust {
    /// Whether they can be read.
    pub fn check(&self) -> Result<()> {
        self.certificates().map(drop)
    }

    /// Reads the certificates, each time anew, because CAs are renewed while the console runs. Certificates that no TLS
    /// library could use as roots are left out.
    ///
    /// # Errors
    /// `TryAgain` for a file that cannot be read or holds no certificate.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let mut found = Vec::new();
        if let Some(file) = &self.file {
            found = in_file(file)?;
            if found.is_empty() {
                return Err(Error::new(
                    Code::TryAgain,
                    format!("SSL_CERT_FILE is {}, which holds no certificate", file.display()),
                )
                .hint("name a PEM file with the certificates of your CA, or unset SSL_CERT_FILE"));
            }
        }
        for folder in &self.folders {
            for entry in fs::read_dir(folder).on("list the folder in SSL_CERT_DIR,", folder).map_err(later)? {
                let path = entry.on("list", folder).map_err(later)?.path();
                if presence::is_file(&path)? {
                    found.extend(in_file(&path)?);
                }
            }
        }
        Ok(found)
    }
}

fn later(error: Error) -> Error {
    error.with_code(Code::TryAgain)
}

fn in_file(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = fs::read(path).on("read the certificates in", path).map_err(later)?;
    let is_root = |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
    let found = CertificateDer::pem_slice_iter(&text).filter_map(std::result::Result::ok);
    Ok(found.filter(is_root).collect())
}

/// Whether a request failed because no root has signed the server's certificate.
#[must_use]
pub fn is_untrusted(error: &ureq::Error) -> bool {
    let cause = match error {
        ureq::Error::Rustls(cause) => Some(cause),
        ureq::Error::Io(cause) => cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}
