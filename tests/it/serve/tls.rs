//! The console over TLS, with a certificate that openssl made, and curl to ask.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::client::{Console, serve};
use crate::support::TestVolume;

/// A certificate for localhost that signs itself, and its key.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (chain, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"]);
    let made = openssl.arg(&key).arg("-out").arg(&chain).output().expect("openssl starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (chain, key)
}

fn curl(chain: &Path, address: &str, more: &[&str]) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "20", "--cacert"]).arg(chain).args(more).arg(format!("{address}/health"));
    curl.output().expect("curl starts")
}

#[test]
fn it_answers_with_the_certificate_that_it_is_given_and_in_no_other_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let (chain, key) = certificate(folder.path(), "one");
    let volume = TestVolume::in_use();
    let start = serve(&volume).env("MOORLINE_TLS_CERT", chain.to_str().expect("UTF-8"));
    let console = Console::of(start.env("MOORLINE_TLS_KEY", key.to_str().expect("UTF-8")));
    let port = console.address.port();
    let answer = curl(&chain, &format!("https://localhost:{port}"), &["--tlsv1.2"]);
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.status.success() && text.contains("Status"), "{answer:?}");
    let old = curl(&chain, &format!("https://localhost:{port}"), &["--tls-max", "1.1"]);
    assert!(!old.status.success(), "{old:?}");
    let (other, _) = certificate(folder.path(), "two");
    assert!(!curl(&other, &format!("https://localhost:{port}"), &[]).status.success(), "another certificate");
    assert!(!curl(&chain, &format!("http://localhost:{port}"), &[]).status.success(), "in clear");
    assert_eq!(console.stop().code, 0);
}

#[test]
fn a_certificate_and_a_key_that_make_no_pair_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let (chain, key) = certificate(folder.path(), "one");
    let (_, other) = certificate(folder.path(), "two");
    let volume = TestVolume::in_use();
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    for (chain, key, named) in [
        (text(&chain), text(&other), text(&chain)),
        (text(&key), text(&key), text(&key)),
        (text(&chain), "/nowhere.key".to_owned(), "/nowhere.key".to_owned()),
    ] {
        let end = serve(&volume).env("MOORLINE_TLS_CERT", &chain).env("MOORLINE_TLS_KEY", &key).wait();
        assert!(end.code == 2 && end.err.contains(&named), "{end}");
    }
}
