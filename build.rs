//! Where the C library is linked in, the program begins at an entry point of its own: `src/entrypoint/quiet.rs`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(own_entry_point)");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("ENV") == "musl" && ["x86_64", "aarch64"].contains(&target("ARCH").as_str()) {
        println!("cargo:rustc-cfg=own_entry_point");
        println!("cargo:rustc-link-arg-bin=moorline=-Wl,-e,moorline_start");
    }
}
