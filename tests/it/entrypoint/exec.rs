//! A server that cannot be executed: 127 and 126 as a shell has them, and a reason that says what to mend.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{TestVolume, quoted};

#[test]
fn each_reason_has_its_code_and_its_words() {
    let volume = TestVolume::in_use();
    let program = |name: &str, text: &str, mode: u32| {
        let path = volume.beside(name);
        fs::write(&path, text).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changes");
        path.display().to_string()
    };
    let cases = [
        ("no-such-program".to_owned(), 127, "program no-such-program not found on PATH"),
        ("/no/such/program".to_owned(), 127, "/no/such/program does not exist"),
        (program("interpreter", "#!/no/such/sh\n", 0o755), 127, "the interpreter /no/such/sh of"),
        (program("crlf", "#!/bin/sh\r\necho\r\n", 0o755), 127, "Windows line ends (CRLF)"),
        (program("mode", "#!/bin/sh\n", 0o644), 126, "has no execute permission"),
        (program("text", "echo hi\n", 0o755), 126, "it has no #! line"),
        (program("empty", "", 0o755), 126, "is empty"),
        (program("arch", "\x7fELF\x02\x01\x01\0\0", 0o755), 126, "another processor"),
        ("/bin".to_owned(), 126, "is a directory"),
    ];
    for (path, code, reason) in cases {
        for start in [volume.run([&path]), volume.run([&path]).env("MOORLINE_SUPERVISE", "1")] {
            let end = start.wait();
            assert_eq!(end.code, code, "{path}: {end}");
            assert!(end.err.contains("cannot start the server: ") && end.err.contains(reason), "{path}: {end}");
        }
    }
}

#[test]
fn a_noexec_mount_is_named() {
    let volume = TestVolume::in_use();
    let root = volume.root();
    fs::copy("/bin/true", volume.path("server")).expect("copies");
    let mount = format!("mount --bind {0} {0}; mount -o remount,bind,noexec {0}", quoted(root));
    let end = volume.run([volume.path("server")]).before(&mount).wait();
    assert_eq!(end.code, 126, "{end}");
    assert!(end.err.contains("mounted noexec"), "{end}");
}

#[test]
fn a_folder_of_the_path_that_holds_a_text_of_that_name_is_passed_over() {
    let volume = TestVolume::in_use();
    let folder = volume.beside("bin");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("true"), "no program").expect("writes");
    let end = volume.run(["true"]).env("PATH", format!("{}:/usr/bin:/bin", folder.display())).wait();
    assert_eq!(end.code, 0, "{end}");
    let end = volume.run(["true"]).env("PATH", folder.display().to_string()).wait();
    assert_eq!(end.code, 126, "{end}");
}

#[test]
fn a_misspelt_setting_is_named() {
    let volume = TestVolume::in_use();
    for (name, value, text) in [
        ("MOORLINE_SECRET_KEY", "hidden", "did you mean MOORLINE_SECRETKEY?"),
        ("MOORLINE_SUPERVISED", "1", "did you mean MOORLINE_SUPERVISE?"),
        ("MOORLINE_LOCK_WAIT", "\"30s\"", "in quotes"),
        ("MOORLINE_FIRSTRUN_ADMINPASSWORD_FILE", "hidden", "does not name a file"),
    ] {
        let end = volume.run(["/bin/true"]).env(name, value).wait();
        assert!(end.err.contains(name) && end.err.contains(text) && !end.err.contains("hidden"), "{end}");
    }
    let end = volume.run(["/bin/true"]).env("MOORLINE_SERVICE_HOST", "10.0.0.1").wait();
    assert!(!end.err.contains("MOORLINE_SERVICE_HOST"), "a variable of Kubernetes: {end}");
}

#[test]
fn exec_mode_says_that_nothing_takes_daily_backups() {
    let volume = TestVolume::in_use();
    let end = volume.run(["/bin/true"]).env("MOORLINE_NO_BOOT_BACKUP", "1").wait();
    assert!(end.err.contains("no daily backups in this mode"), "{end}");
    volume.moorline(["backup", "--scheduled"]).wait();
    let end = volume.run(["/bin/true"]).wait();
    assert!(!end.err.contains("no daily backups"), "{end}");
}

#[test]
fn the_first_line_says_what_starts() {
    let volume = TestVolume::in_use();
    let key = "8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/4=";
    let start = volume.run(["/bin/true"]).env("MOORLINE_SECRETKEY", key).env("MOORLINE_PROFILE", "grafana");
    let end = start.wait();
    let first = end.err.lines().next().unwrap_or_default();
    let root = volume.root();
    for part in ["version 0.", root.to_str().expect("UTF-8"), "profile grafana", "from MOORLINE_SECRETKEY", "exec mode"]
    {
        assert!(first.contains(part), "{part}: {end}");
    }
    assert!(!end.err.contains(key), "{end}");
    let end = volume.moorline(["init"]).wait();
    assert!(end.err.lines().next().is_some_and(|line| line.contains("init only")), "{end}");
}

#[test]
fn init_keeps_the_key_that_it_was_given() {
    let volume = TestVolume::in_use();
    let key = "8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/4=";
    let end = volume.moorline(["init"]).env("MOORLINE_SECRETKEY", key).wait();
    assert_eq!(end.code, 0, "{end}");
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let end = volume.run(["/bin/echo", "server"]).env("MOORLINE_SECRETKEY", other).wait();
    assert_eq!((end.code, end.out.as_str()), (12, ""), "{end}");
}
