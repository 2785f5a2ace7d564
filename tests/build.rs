//! Where the programs under test and the repository are: cargo tells a package only about its own programs.

use std::{env, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    // target/TRIPLE/PROFILE/build/moorline-tests-HASH/out
    let profile = Path::new(&out).ancestors().nth(3).expect("cargo's layout");
    println!("cargo:rustc-env=MOORLINE_PROGRAM={}", profile.join("moorline").display());
    println!("cargo:rustc-env=MOORLINE_ENGINE={}", profile.join("moorline-engine").display());
    let manifest = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let repository = Path::new(&manifest).parent().expect("the tests are in a folder of the repository");
    println!("cargo:rustc-env=MOORLINE_REPOSITORY={}", repository.display());
}
