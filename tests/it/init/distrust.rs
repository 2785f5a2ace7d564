//! With `--user`, the server's user may own the volume: root follows no link of that user and runs nothing that it wrote.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, lchown, symlink},
    path::{Path, PathBuf},
};

use crate::support::{End, TestVolume, quoted};

const AS_USER: [&str; 4] = ["run", "--user", "1000:1000", "--"];

/// A volume of user 1000, and beside it a folder of root's with a token.
struct Scene {
    volume: TestVolume,
    of_root: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let volume = TestVolume::in_use();
        let of_root = volume.beside("of-root");
        fs::create_dir(&of_root).expect("a folder");
        fs::write(of_root.join("token"), "echo TOPSECRET_OF_ROOT").expect("writes");
        fs::set_permissions(of_root.join("token"), fs::Permissions::from_mode(0o600)).expect("changes");
        Self { volume, of_root }
    }

    fn start(&self, server: &[&str]) -> End {
        give_away(&self.volume.root());
        self.volume.moorline(AS_USER).args(server).wait()
    }

    /// Whether root has neither shown nor changed anything of its folder.
    fn is_untouched(&self, end: &End) -> bool {
        let names = fs::read_dir(&self.of_root).expect("a folder").count();
        names == 1 && self.of_root.join("token").exists() && !end.err.contains("TOPSECRET")
    }
}

fn give_away(path: &Path) {
    lchown(path, Some(1000), Some(1000)).expect("changes");
    if path.symlink_metadata().expect("is there").is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            give_away(&entry.expect("an entry").path());
        }
    }
}

#[test]
fn a_script_that_swaps_a_folder_ends_the_start() {
    for swap in [
        "mv INIT INIT.old; ln -s ROOT INIT",
        "ln -s ROOT INIT/start.d",
        "mv OWN OWN.old; mkdir OWN; ln -s ROOT OWN/spool",
        "mv OWN OWN.old; ln -s ROOT OWN",
    ] {
        let scene = Scene::new();
        let volume = &scene.volume;
        let line = swap
            .replace("INIT", &quoted(volume.path("Init")))
            .replace("OWN", &quoted(volume.path(".moorline")))
            .replace("ROOT", &quoted(&scene.of_root));
        volume.script("00-swap", line);
        volume.script("token", "echo legit");
        let end = scene.start(&["/bin/echo", "up"]);
        assert!(end.code == 14 && end.out.is_empty(), "{swap}: {end}");
        assert!(scene.is_untouched(&end), "{swap}: {end}");
    }
}

#[test]
fn a_folder_that_the_server_swaps_is_not_followed() {
    let scene = Scene::new();
    let (volume, root) = (&scene.volume, quoted(&scene.of_root));
    volume.script("ready.d/token", "echo legit");
    give_away(&volume.root());
    let ready = quoted(volume.path("Init/ready.d"));
    let server = format!("mv {ready} {ready}.was; ln -s {root} {ready}; sleep 4");
    let run = ["run", "--user", "1000:1000", "--supervise", "--health", "alive:2s", "--", "/bin/sh", "-c", &server];
    let end = volume.moorline(run).wait();
    assert!(scene.is_untouched(&end), "{end}");
}

#[test]
fn a_link_of_the_user_in_place_of_a_script_is_not_read() {
    let scene = Scene::new();
    symlink(scene.of_root.join("token"), scene.volume.path("Init/x")).expect("a link");
    let end = scene.start(&["/bin/echo", "up"]);
    assert!(end.code != 0 && scene.is_untouched(&end), "{end}");
}

#[test]
fn a_python_script_of_root_imports_nothing_from_the_temporary_folder() {
    let scene = Scene::new();
    let (volume, temporary) = (&scene.volume, scene.volume.beside("tmp"));
    fs::create_dir(&temporary).expect("a folder");
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o1777)).expect("changes");
    fs::write(temporary.join("colorsys.py"), "print('forged')").expect("writes");
    fs::set_permissions(volume.root(), fs::Permissions::from_mode(0o755)).expect("changes");
    volume.script(
        "x",
        "#!/usr/bin/env python3\n# moorline: user=root\nimport colorsys, os\nprint('ran in', os.getcwd())\n",
    );
    let python = std::env::var("MOORLINE_TEST_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
    let path = format!("{}:/usr/bin:/bin", Path::new(&python).parent().expect("a folder").display());
    let start = volume.moorline(AS_USER).args(["/bin/echo", "up"]).env("TMPDIR", &temporary).env("PATH", path);
    let end = start.wait();
    assert!(end.out == "up\n" && !end.err.contains("forged"), "{end}");
    assert!(end.err.contains("ran in /\n"), "{end}");
}

#[test]
fn a_link_in_place_of_a_file_or_folder_of_events_is_not_followed() {
    for name in ["", "20260131.clef"] {
        let scene = Scene::new();
        let events = scene.volume.path(".moorline/events");
        if name.is_empty() {
            fs::create_dir_all(events.parent().expect("a folder")).expect("a folder");
            symlink(&scene.of_root, &events).expect("a link");
        } else {
            fs::create_dir_all(&events).expect("a folder");
            let now = jiff::Timestamp::now();
            for day in [now, now + jiff::SignedDuration::from_hours(24)] {
                let link = events.join(day.strftime("%Y%m%d.clef").to_string());
                symlink(scene.of_root.join("token"), link).expect("a link");
            }
        }
        scene.volume.script("x", "seqsvr list");
        let end = scene.start(&["/bin/echo", "up"]);
        let token = fs::read_to_string(scene.of_root.join("token")).expect("reads");
        assert!(scene.is_untouched(&end) && !token.contains("@t"), "{name}: {end}");
    }
}

#[test]
fn root_writes_no_backup_where_the_servers_user_says() {
    let scene = Scene::new();
    let settings = format!("{{\"BackupLocation\":\"{}\"}}", scene.of_root.display());
    scene.volume.write(".moorline/settings.json", settings);
    give_away(&scene.volume.root());
    let start = scene.volume.moorline(AS_USER).args(["/bin/echo", "up"]).without("MOORLINE_NO_BOOT_BACKUP");
    let end = start.wait();
    assert!(end.out == "up\n" && scene.is_untouched(&end), "{end}");
    assert!(end.err.contains("belongs to the user who owns the volume") && end.err.contains("chown root"), "{end}");
    for link in ["Backups", ".moorline/spool", ".moorline/restores"] {
        let scene = Scene::new();
        scene.volume.moorline(["backup"]).wait();
        fs::remove_dir_all(scene.volume.path(link)).expect("is there");
        symlink(&scene.of_root, scene.volume.path(link)).expect("a link");
        give_away(&scene.volume.root());
        let end = scene.volume.moorline(["backup"]).not_pid_1().wait();
        assert!(end.code == 14 && scene.is_untouched(&end), "{link}: {end}");
    }
}
