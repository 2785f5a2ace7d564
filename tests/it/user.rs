//! `--user`: gosu's cases, and what scripts, volume and server have of it.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{MOORLINE, Start, TestVolume, quoted};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:\ngames:x:5:60::/usr/games:\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\naudio:x:29:games\nvideo:x:44:games,daemon\ngames:x:60:\n";

/// In a container whose users these are.
fn with_users<'a>(volume: &TestVolume, start: Start<'a>) -> Start<'a> {
    let (passwd, group) = (volume.beside("passwd"), volume.beside("group"));
    fs::write(&passwd, PASSWD).expect("writes");
    fs::write(&group, GROUP).expect("writes");
    start.before(&format!("mount --bind {} /etc/passwd; mount --bind {} /etc/group", quoted(passwd), quoted(group)))
}

fn server_as(volume: &TestVolume, user: &str, line: &str) -> String {
    let start = volume.moorline(["run", "--user", user, "--", "/bin/sh", "-c", line]).env("HOME", "/of/the/image");
    let end = with_users(volume, start).wait();
    assert_eq!(end.code, 0, "{user}: {end}");
    end.out.trim_end().to_owned()
}

#[test]
fn every_spec_is_resolved_as_gosu_does() {
    let volume = TestVolume::in_use();
    let own = volume.run_sh("id -G").wait().out.trim_end().to_owned();
    for (spec, expected) in [
        ("0", "0 0 0"),
        ("0:0", "0 0 0"),
        ("root", "0 0 0"),
        ("0:root", "0 0 0"),
        ("root:0", "0 0 0"),
        ("root:root", "0 0 0"),
        ("1000", "1000 0 0"),
        ("0:1000", "0 1000 1000"),
        ("1000:1000", "1000 1000 1000"),
        ("root:1000", "0 1000 1000"),
        ("1000:root", "1000 0 0"),
        ("1000:daemon", "1000 1 1"),
        ("games", "5 60 60 29 44"),
        ("games:daemon", "5 1 1"),
        ("0:", "0 0 0"),
        ("", &format!("0 0 {own}")),
        (":0", "0 0 0"),
    ] {
        let line = "echo $(id -u) $(id -g) $(id -G)";
        assert_eq!(server_as(&volume, spec, line), expected, "--user {spec:?}");
    }
}

#[test]
fn home_is_the_users() {
    let volume = TestVolume::in_use();
    for (home, specs) in [
        ("/root", &["0", "0:0", "root", "0:root", "root:0", "root:root", "0:1000"][..]),
        ("/", &["1000", "1000:0", "1000:root"]),
        ("/usr/games", &["games", "games:daemon"]),
        ("/of/the/image", &[""]),
    ] {
        for spec in specs {
            assert_eq!(server_as(&volume, spec, "echo $HOME"), home, "--user {spec:?}");
        }
    }
}

#[test]
fn what_is_unknown_is_refused_before_anything_runs() {
    let volume = TestVolume::in_use();
    volume.script("x", "touch \"$DATA_DIR/ran\"");
    for spec in ["bogus", "0day", "0:bogus", "0:0day", "4294967295"] {
        let start = volume.run(["/bin/echo", "up"]).env("MOORLINE_USER", spec);
        let end = with_users(&volume, start).wait();
        assert_eq!((end.code, end.out.as_str(), volume.has("ran")), (2, "", false), "{spec}: {end}");
        assert!(end.err.contains("no user ") || end.err.contains("no group "), "{end}");
    }
}

#[test]
fn who_is_not_root_stays_who_it_is() {
    let volume = TestVolume::in_use();
    fs::set_permissions(volume.root(), fs::Permissions::from_mode(0o777)).expect("changes");
    fs::set_permissions(volume.path("Init"), fs::Permissions::from_mode(0o777)).expect("changes");
    for (spec, code) in [("1234:0", 0), ("1234", 0), ("1234:1234", 2), ("0", 2), ("root", 2)] {
        let end = volume.run(["/bin/echo", "up"]).env("MOORLINE_USER", spec).with_user(1234).wait();
        assert_eq!(end.code, code, "{spec}: {end}");
        assert!(code == 0 || end.err.contains(&format!("--user {spec} needs root")), "{end}");
    }
    let without = "exec setpriv --bounding-set=-all --inh-caps=-all \"$@\"";
    let end = volume.run(["/bin/echo", "up"]).env("MOORLINE_USER", "1000").before(without).wait();
    assert_eq!(end.code, 2, "{end}");
    assert!(end.err.contains("which this container lacks"), "{end}");
}

/// What the user of a server must not get to see, in shell.
const PRY: &str = "cd \"$MOORLINE_STORAGE/.moorline\"; for it in secret.key init.json; do cat $it && exit 9; done
    for it in . spool restores; do ls $it && exit 9; done; touch new bin/new spool/new && exit 9";

#[test]
fn the_server_has_neither_rights_nor_secrets_of_root() {
    let volume = TestVolume::in_use();
    volume.script("x", "true");
    let line = format!("({PRY}) 2> /dev/null; echo $?");
    let end = volume.moorline(["run", "--user", "1000:1000", "--", "/bin/sh", "-c", &line]).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "1\n"), "{end}");
    assert_eq!(volume.scripts(), ["x.done"]);
    // A pipe, as a container's log is one, can be opened again by its name.
    let server = ["run", "--user", "1000:1000", "--", "/bin/sh", "-c", "echo again > /dev/stdout"];
    let end = volume.moorline(server).before("\"$@\" | cat; exit").wait();
    assert_eq!(end.out, "again\n", "{end}");
    let caps = server_as(&volume, "1000:1000", "grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status | tr -d '\\t0\\n'");
    assert_eq!(caps, "CapPrm:CapEff:CapAmb:");
    // Another user does not even get through.
    let other = "setpriv --reuid=2000 --regid=2000 --clear-groups cat .moorline/instance.json || echo refused";
    let end = volume.run_sh(&format!("cd {}; {other}", quoted(volume.root()))).wait();
    assert_eq!(end.out, "refused\n", "{end}");
}

#[test]
fn scripts_run_as_the_user_and_built_in_commands_as_root() {
    let volume = TestVolume::in_use();
    let seen = "id -u; id -G; echo $HOME; pwd; seqsvr --version; echo loud > /dev/stderr";
    volume.script("1-built-in", "seqsvr show-key");
    volume.script("2-text", format!("{seen}\n({PRY}) 2> /dev/null; echo pried $?"));
    volume.script("3-private", format!("#!/bin/sh -e\n{seen}"));
    volume.script("start.d/4", seen);
    volume.script("5-image", fs::read("/usr/bin/id").expect("reads"));
    fs::set_permissions(volume.path("Init/3-private"), fs::Permissions::from_mode(0o600)).expect("changes");
    fs::set_permissions(volume.path("Init/5-image"), fs::Permissions::from_mode(0o600)).expect("changes");
    let start = volume.moorline(["run", "--user", "games", "--", "/bin/echo", "up"]);
    let end = with_users(&volume, start).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
    let expected = format!("5\n60 29 44\n/usr/games\n{}\nmoorline 0.1.0\nloud\n", volume.path("Init").display());
    assert_eq!(volume.read("Init/2-text.log"), format!("{expected}pried 1\n"), "{end}");
    assert_eq!(volume.read("Init/3-private.log"), expected, "{end}");
    assert_eq!(volume.read("Init/start.d/4.log"), expected, "{end}");
    assert!(volume.read("Init/5-image.log").starts_with("uid=5(games) gid=60(games)"), "{end}");
    assert!(volume.read("Init/1-built-in.log").ends_with(&volume.read(".moorline/secret.key")), "{end}");

    volume.script("ready.d/6", seen);
    let start = volume.moorline(["after-start"]).env("MOORLINE_HEALTH", "alive:0").env("MOORLINE_USER", "games");
    let end = with_users(&volume, start.not_pid_1()).wait();
    assert_eq!(end.code, 0, "{end}");
    assert_eq!(volume.read("Init/ready.d/6.log"), expected, "{end}");
}

#[test]
fn a_volume_of_the_servers_own_is_restored_by_a_script_that_needs_no_shell() {
    let volume = TestVolume::in_use();
    std::os::unix::fs::chown(volume.root(), Some(1000), Some(1000)).expect("changes");
    std::os::unix::fs::chown(volume.path("app.conf"), Some(1000), Some(1000)).expect("changes");
    let start = |line: &str| volume.moorline(["run", "--user", "1000:1000", "--", "/bin/sh", "-c", line]);
    assert_eq!(volume.moorline(["backup"]).wait().code, 0);
    let change = "cd \"$MOORLINE_STORAGE\"; echo changed > app.conf";
    assert_eq!(start(change).wait().code, 0);
    volume.script("x", "seqsvr restore -y --from-latest");
    let end = start("cd \"$MOORLINE_STORAGE\"; cat app.conf; echo mine >> app.conf").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "in use"), "{end}");
    assert_eq!(volume.read("app.conf"), "in usemine\n", "the server still owns what was restored");
}

#[test]
fn a_program_that_only_root_may_execute_is_named() {
    let volume = TestVolume::in_use();
    let program = volume.beside("program");
    fs::copy(MOORLINE, &program).expect("copies");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("changes");
    let end = volume.run([&program]).env("MOORLINE_USER", "1000").wait();
    assert_eq!(end.code, 126, "{end}");
    assert!(end.err.contains("cannot be executed by this user"), "{end}");
}

#[test]
fn an_empty_volume_of_root_is_given_to_the_user() {
    let server =
        ["run", "--user", "1000:1000", "--", "/bin/sh", "-c", "echo db > \"$MOORLINE_STORAGE/app.db\" && echo up"];
    let volume = TestVolume::new();
    fs::set_permissions(volume.root(), fs::Permissions::from_mode(0o755)).expect("changed");
    let end = volume.moorline(server).env("MOORLINE_CHOWN_VOLUME", "never").wait();
    assert!(end.code != 0 && end.err.contains("user 1000:1000 cannot write to the volume"), "{end}");
    assert!(end.err.contains("--chown-volume=always"), "the remedy: {end}");
    let end = volume.moorline(server).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
}

#[test]
fn the_owner_of_a_volume_with_state_changes_only_on_request() {
    let server =
        ["run", "--user", "1000:1000", "--", "/bin/sh", "-c", "echo x >> \"$MOORLINE_STORAGE/state\" && echo up"];
    let volume = TestVolume::in_use();
    volume.write("state", "s");
    volume.write("below/linked", "l");
    let outside = volume.beside("outside");
    fs::write(&outside, "").expect("writes");
    std::os::unix::fs::symlink(&outside, volume.path("link")).expect("a link");
    fs::hard_link(volume.path("below/linked"), volume.beside("shared")).expect("a second name");
    fs::set_permissions(volume.root(), fs::Permissions::from_mode(0o755)).expect("changed");
    let end = volume.moorline(server).wait();
    assert!(end.code != 0 && end.err.contains("user 1000:1000 cannot write"), "{end}");
    let end = volume.moorline(server).env("MOORLINE_CHOWN_VOLUME", "always").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
    let owner =
        |path: std::path::PathBuf| std::os::unix::fs::MetadataExt::uid(&fs::symlink_metadata(path).expect("is there"));
    assert_eq!(owner(volume.path("below")), 1000);
    assert_eq!(owner(outside), 0, "links are not followed");
    assert_eq!(owner(volume.path("below/linked")), 0, "a file with another name elsewhere stays");
    assert!(end.err.contains("below/linked") && end.err.contains("hard links"), "{end}");
    assert_eq!(owner(volume.path(".moorline")), 0);
}

#[test]
fn a_script_may_ask_for_root_if_only_root_can_write_it() {
    let volume = TestVolume::in_use();
    let text = "#!/bin/sh\n# moorline: user=root\nid -u > \"$DATA_DIR/.moorline/who\"\n";
    volume.script("a", text);
    fs::set_permissions(volume.root(), fs::Permissions::from_mode(0o755)).expect("changed");
    let run = ["run", "--user", "1000:1000", "--", "/bin/true"];
    let end = volume.moorline(run).wait();
    assert_eq!((end.code, volume.read(".moorline/who").as_str()), (0, "0\n"), "{end}");
    for (mode, owner) in [(0o777, 0), (0o755, 1000)] {
        volume.script("b", text);
        fs::set_permissions(volume.path("Init"), fs::Permissions::from_mode(mode)).expect("changed");
        std::os::unix::fs::chown(volume.path("Init"), Some(owner), None).expect("changed");
        let end = volume.moorline(run).wait();
        assert_eq!(end.code, 14, "{end}");
        assert!(end.err.contains("asks to run as root") && end.err.contains("can write"), "{end}");
    }
}

#[test]
fn a_built_in_script_of_the_servers_user_is_restricted() {
    let volume = TestVolume::in_use();
    volume.write("state", "one");
    let key = volume.moorline(["show-key"]).wait().out.trim_end().to_owned();
    volume.moorline(["backup"]).wait();
    let backup = fs::read_dir(volume.path("Backups")).expect("a folder").next().expect("one").expect("readable");
    fs::rename(backup.path(), volume.path("Backups/b.seqbac")).expect("renamed");
    fs::copy(volume.path("Backups/b.seqbac"), volume.beside("b.seqbac")).expect("copied");
    std::os::unix::fs::chown(volume.root(), Some(1000), Some(1000)).expect("changed");
    let run = ["run", "--user", "1000:1000", "--", "/bin/true"];
    let outside = format!("restore -y --backup={}", volume.beside("b.seqbac").display());
    for line in [
        "show-key",
        "extract -o /tmp/x ../Backups/b.seqbac",
        "restore -y --from-latest --owner=0:0",
        "restore -y --from-latest --secret-key-file=/etc/shadow",
        &outside,
    ] {
        volume.script("x", format!("seqsvr {line}\n"));
        let end = volume.moorline(run).wait();
        assert_eq!((end.code, volume.has("Init/x.failed")), (14, true), "{line}: {end}");
        assert!(end.err.contains("may be written by user 1000:1000"), "{line}: {end}");
    }
    volume.script("y", format!("seqsvr restore -y --enable-apps --secret-key={key} --backup=../Backups/b.seqbac\n"));
    let end = volume.moorline(run).wait();
    assert_eq!(end.code, 0, "{end}");
    let meta = fs::metadata(volume.path("state")).expect("is there");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&meta), 1000, "{end}");
}

#[test]
fn a_restricted_script_cannot_lead_root_elsewhere() {
    let volume = TestVolume::in_use();
    volume.write("state", "one");
    volume.moorline(["backup"]).wait();
    let target = volume.beside("target");
    fs::create_dir(&target).expect("made");
    let (storage, output) =
        (format!("--storage={}", target.display()), format!("-o{}", volume.beside("out").display()));
    std::os::unix::fs::chown(volume.root(), Some(1000), Some(1000)).expect("changed");
    for line in [
        format!("restore -y --from-latest {storage}"),
        format!("{storage} backup"),
        format!("backup {output}"),
        "restore -y --from-latest --profile=/etc/shadow".to_owned(),
        format!("verify {}", volume.beside("out").display()),
    ] {
        volume.script("x", format!("seqsvr {line}\n"));
        let end = volume.moorline(["run", "--user", "1000:1000", "--", "/bin/true"]).wait();
        assert_eq!(end.code, 14, "{line}: {end}");
        assert!(fs::read_dir(&target).expect("a folder").next().is_none(), "{line}: {end}");
        assert!(fs::metadata(volume.beside("out")).is_err(), "{line}: {end}");
    }
}

#[test]
fn links_of_the_servers_user_lead_root_nowhere() {
    for name in ["Init", ".moorline", "Backups", ".moorline/lock", ".moorline/spool"] {
        let volume = TestVolume::new();
        let victim = volume.beside("victim");
        if name.contains('/') {
            fs::create_dir(volume.path(".moorline")).expect("made");
        }
        if name.ends_with("lock") {
            fs::write(&victim, "precious").expect("written");
        } else {
            fs::create_dir(&victim).expect("made");
            let _ = fs::remove_dir_all(volume.path(name));
        }
        std::os::unix::fs::symlink(&victim, volume.path(name)).expect("a link");
        std::os::unix::fs::lchown(volume.path(name), Some(1000), Some(1000)).expect("changed");
        let end = volume.moorline(["run", "--user", "1000:1000", "--", "/bin/echo", "up"]).wait();
        assert!(end.code != 0 && end.out.is_empty(), "{name}: {end}");
        if name.ends_with("lock") {
            assert_eq!(fs::read_to_string(&victim).expect("readable"), "precious", "{end}");
        } else {
            assert!(fs::read_dir(&victim).expect("a folder").next().is_none(), "{name}: {end}");
        }
    }
}

#[test]
fn a_script_of_root_does_not_run_programs_of_the_servers_user() {
    let volume = TestVolume::in_use();
    volume.run(["/bin/true"]).wait();
    volume.write(".moorline/bin/id", "#!/bin/sh\necho forged\n");
    fs::set_permissions(volume.path(".moorline/bin/id"), fs::Permissions::from_mode(0o755)).expect("changed");
    fs::set_permissions(volume.root(), fs::Permissions::from_mode(0o755)).expect("changed");
    volume.script("x", "#!/bin/sh\n# moorline: user=root\nid -u\nseqsvr show-key > /dev/null && echo found\n");
    let end = volume.moorline(["run", "--user", "1000:1000", "--", "/bin/true"]).wait();
    assert!(end.code == 0 && !end.err.contains("forged") && end.err.contains("0\n"), "{end}");
}
