//! `scripts/prove-profile`: it passes small servers of every shape, whatever their folders are like, and nothing that is no proof.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

#[test]
fn rows_that_cannot_be_switched_off_are_taken_out_and_what_piled_up_is_dropped() {
    Folder::of("feeds").prove_for("3", &[]).passes();
}

#[test]
fn a_uuid_a_composite_key_and_json_in_a_column() {
    let proof = Folder::of("owners").prove();
    proof.passes();
    for app in ["\"/job/live\"", "\"/reminder/live\""] {
        assert!(proof.requests_after_release().contains(app), "{app} did not come back\n{proof:?}");
    }
}

#[test]
fn pointers_into_a_json_file_that_the_server_shuffles() {
    let proof = Folder::of("pointers").prove();
    proof.passes();
    for app in ["\"/live/hook\"", "\"/live/relay\""] {
        assert!(proof.requests_after_release().contains(app), "{app} did not come back\n{proof:?}");
    }
}

#[test]
fn jobs_in_a_yaml_file_that_is_put_aside() {
    Folder::of("yamlcron").prove().passes();
}

#[test]
fn no_packet_leaves_a_restored_copy() {
    let proof = Folder::of("feeds").prove_for("1", &["--no-packet"]);
    proof.passes();
    assert!(proof.line.ends_with(" packets=0"), "{proof:?}");
}

#[test]
fn a_packet_from_a_restored_copy_is_seen() {
    let folder = Folder::of("feeds");
    let home = "import os, socket\nif 'MOORLINE_QUARANTINED' in os.environ:\n    \
        socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))\n";
    folder.edit("server.py", "database().executescript", &format!("{home}database().executescript"));
    let proof = folder.prove_for("1", &["--no-packet"]);
    proof.fails("UDP to 192.0.2.1 port 9");
    assert!(proof.line.contains(" quarantined=0 ") && proof.line.ends_with(" packets=1"), "{proof:?}");
}

#[test]
fn a_folder_by_somebody_else() {
    // Nothing is executable, the server is a child of start.sh, ready.sh has to be asked again, nothing stops it.
    let folder = Folder::of("feeds");
    folder.edit("start.sh", "exec python3", "python3");
    folder.write("ready.sh", ". \"$(dirname \"$0\")/env.sh\"\ncurl -fsS http://127.0.0.1:$PORT/");
    folder.write("trigger.sh", "exit 1");
    fs::remove_file(folder.path("stop.sh")).expect("was there");
    for script in ["start.sh", "ready.sh", "fire.sh"] {
        fs::set_permissions(folder.path(script), fs::Permissions::from_mode(0o644)).expect("changes");
    }
    folder.prove().passes();
}

#[test]
fn a_copy_that_fires_is_no_proof() {
    let folder = Folder::of("feeds");
    folder.edit("profile.toml", "delete = true\n\n#", "where = \"feed = 0\"\ndelete = true\n\n#");
    let proof = folder.prove();
    proof.fails("the restored copy is not silent");
    assert!(!proof.line.contains(" quarantined=0 "), "{proof:?}");
}

#[test]
fn apps_that_do_not_come_back_are_no_proof() {
    let folder = Folder::of("feeds");
    folder.edit("profile.toml", "delete = true\n\n#", "delete = true\ndiscard = true\n\n#");
    let proof = folder.prove();
    proof.fails("the released copy's app sent nothing");
    assert!(proof.line.contains(" quarantined=0 released=0 "), "{proof:?}");
}

#[test]
fn a_burst_at_release_is_no_proof() {
    let folder = Folder::of("feeds");
    folder.edit(
        "profile.toml",
        "at      = \"release\"\nsqlite",
        "at      = \"release\"\nwhere   = \"feed = 0\"\nsqlite",
    );
    folder.prove_for("3", &[]).fails("the app that was off sends requests");
}

#[test]
fn a_copy_that_is_silent_because_it_is_dead_is_no_proof() {
    let folder = Folder::of("feeds");
    folder.edit(
        "server.py",
        "database().executescript",
        "if len(sys.argv) > 2:\n    sys.exit('what is ' + sys.argv[2])\ndatabase().executescript",
    );
    folder.edit(
        "profile.toml",
        "[[quarantine]]\nname   = \"webhooks\"",
        "[[quarantine]]\nname = \"safe mode\"\nargs = [\"--safe\"]\n\n[[quarantine]]\nname   = \"webhooks\"",
    );
    let proof = folder.prove();
    proof.fails("the restored server ended with 1 before ready.sh said that it was ready");
    assert!(proof.says.contains("what is --safe"), "{proof:?}");
    assert!(proof.line.ends_with("quarantined=- released=- off=0"), "{proof:?}");
}

#[test]
fn an_original_that_is_silent_itself_proves_nothing() {
    let folder = Folder::of("feeds");
    folder.edit("fire.sh", "feed live false && ", "");
    folder.prove().fails("the original's app sent nothing");
}

#[test]
fn data_that_no_proof_has_made_is_kept() {
    let folder = Folder::of("feeds");
    fs::create_dir(folder.path("data")).expect("made");
    folder.write("data/precious", "mine");
    folder.edit("fire.sh", "feed live", "exit 3\nfeed live");
    folder.prove().fails("fire.sh ended with 3");
    let entries = fs::read_dir(folder.path("")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let kept: Vec<PathBuf> = entries.filter(|path| path.join("precious").exists()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(!folder.path("data/precious").exists(), "the proof began with it");
}

/// A copy of a server's folder, and of the one beside it.
struct Folder {
    place: TempDir,
    name: &'static str,
}

impl Folder {
    fn of(name: &'static str) -> Self {
        let servers = Path::new(env!("MOORLINE_REPOSITORY")).join("tests/servers");
        let place =
            tempfile::Builder::new().prefix("a place ").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        for folder in [name, "common"] {
            let copied =
                Command::new("cp").arg("-r").arg(servers.join(folder)).arg(place.path()).status().expect("cp starts");
            assert!(copied.success(), "{folder} cannot be copied");
        }
        Self { place, name }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(self.name).join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    fn edit(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(name)).expect("readable");
        assert!(text.contains(old), "{name} has no {old:?}");
        self.write(name, &text.replacen(old, new, 1));
    }

    fn prove(&self) -> Proof {
        self.prove_for("1", &[])
    }

    /// What piles up for three seconds is late in `feeds`.
    fn prove_for(&self, seconds: &str, flags: &[&str]) -> Proof {
        let script = Path::new(env!("MOORLINE_REPOSITORY")).join("scripts/prove-profile");
        let logs = self.place.path().join("logs");
        fs::create_dir_all(&logs).expect("made");
        let mut command = Command::new(script);
        command.args(flags).arg(self.path("")).arg(self.path("profile.toml"));
        command.env("MOORLINE", env!("MOORLINE_PROGRAM")).env("W", seconds).env("KEEP", "1").env("TMPDIR", &logs);
        let output = command.output().expect("starts");
        let requests = fs::read_dir(&logs).expect("a folder").find_map(|entry| {
            let path = entry.expect("an entry").path();
            fs::read_to_string(path.join("requests")).ok()
        });
        Proof {
            passed: output.status.success(),
            line: String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
            says: String::from_utf8_lossy(&output.stderr).into_owned(),
            requests: requests.unwrap_or_default(),
        }
    }
}

/// What `scripts/prove-profile` made of a folder.
#[derive(Debug)]
struct Proof {
    passed: bool,
    line: String,
    says: String,
    requests: String,
}

impl Proof {
    fn passes(&self) {
        assert!(self.passed, "{self:#?}");
        assert!(self.line.contains(" quarantined=0 released=") && self.line.contains(" off=0"), "{self:#?}");
    }

    fn fails(&self, why: &str) {
        assert!(!self.passed && self.says.contains(why), "{self:#?}");
        assert!(self.line.starts_with("before="), "{self:#?}");
    }

    /// What the listener got after the proof asked it for the last time whether it hears.
    fn requests_after_release(&self) -> &str {
        self.requests.rsplit("prove-profile-asks").next().unwrap_or_default()
    }
}
