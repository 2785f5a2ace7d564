//! The forms of a capture: a tar or a file on stdout, and what a restore makes of it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
};

use nix::sys::signal::Signal;

use super::{
    super::support::{End, KEY, TestVolume},
    backup_on, backup_with, is_refused_with, profile_with, serving, user_of,
};

/// A capture whose command is this line of shell.
fn capture(form: &str, line: &str, more: &str) -> String {
    format!("{form} = [\"/bin/sh\", \"-ec\", '''{line}''']\n{more}")
}

/// A tar of what this line of shell has written into an empty folder, with these options.
fn tar(line: &str, options: &str, more: &str) -> String {
    let line = format!("d=$(mktemp -d); trap 'rm -r $d' EXIT; cd $d\n{line}\ntar {options} -c .");
    capture("tar", &line, &format!("replaces = \"db/\"\n{more}"))
}

/// Restores the backup of a volume onto another one.
fn restored(volume: &TestVolume, copy: &TestVolume, profile: &Path) -> End {
    copy.write("db/old", "stale");
    let (profile, backup) = (profile.display().to_string(), volume.beside("b.seqbac").display().to_string());
    copy.moorline(["restore", "-y", "--profile", &profile, "--secret-key", KEY, "--backup", &backup]).wait()
}

fn extracted(volume: &TestVolume, name: &str) -> End {
    let start = volume.moorline(["extract"]).args([volume.beside("b.seqbac")]).args(["-o", "-", name]);
    start.env("MOORLINE_SECRETKEY", KEY).wait()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_tar_on_stdout_takes_the_place_of_the_folder() {
    let long = "n".repeat(180);
    let line = format!(
        "mkdir empty sub; echo copied > sub/copy; chmod 640 sub/copy; chown 12:34 sub/copy; ln -s sub/copy link; ln sub/copy \
         hard; head -c 300000 /dev/zero | tr '\\0' x > {long}; chmod 700 empty"
    );
    for options in ["", "--format=pax", "--format=ustar --exclude=./n*"] {
        backup_with(&tar(&line, options, "contains = [\"sub/copy\"]"), |volume, end| {
            assert_eq!(end.code, 0, "{end}");
            let copy = TestVolume::new();
            let end = restored(volume, &copy, &volume.beside("x.toml"));
            assert_eq!(end.code, 0, "{end}");
            let mut expected = vec!["empty", "hard", "link", "sub"];
            if !options.contains("exclude") {
                expected.push(&long);
                expected.sort_unstable();
                assert_eq!(copy.read(format!("db/{long}")), "x".repeat(300_000));
            }
            assert_eq!(names(&copy.path("db")), expected);
            for name in ["db/sub/copy", "db/link", "db/hard"] {
                assert_eq!(copy.read(name), "copied\n", "{name}");
            }
            let meta = fs::metadata(copy.path("db/sub/copy")).expect("is there");
            assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (12, 34, 0o640));
            assert_eq!(fs::metadata(copy.path("db/empty")).expect("is there").mode() & 0o7777, 0o700);
        });
    }
}

#[test]
fn a_tar_that_is_not_whole_or_that_could_write_elsewhere_leaves_no_backup() {
    let cut = |line: &str| capture("tar", line, "replaces = \"db/\"");
    let make = "d=$(mktemp -d); trap 'rm -r $d' EXIT; cd $d; head -c 40000 /dev/urandom > a; echo b > b; tar -cf ../$$.tar a b";
    let whole = format!("{make}; cat ../$$.tar; rm ../$$.tar");
    is_refused_with(&cut(&format!("{whole}; exit 3")), "exit code 3");
    for bytes in [20_000, 41_472, 41_984, 42_496] {
        // Within the first file, after it, after the second one, and after one block of the end.
        is_refused_with(&cut(&format!("{make}; head -c {bytes} ../$$.tar; rm ../$$.tar")), "has no end");
    }
    is_refused_with(&cut(&format!("{whole}; echo more")), "goes on after its end");
    is_refused_with(&cut(&format!("{make}; gzip < ../$$.tar; rm ../$$.tar")), "not a whole tar");
    is_refused_with(&cut("true"), "wrote nothing");
    is_refused_with(&tar("true", "", ""), "wrote nothing");
    is_refused_with(&tar("echo x > a", "", "contains = [\"PG_VERSION\"]"), "did not write PG_VERSION");
    for (line, options, why) in [
        ("echo x > a", "-P --transform=s,./a,../a,", "../a in the command's tar is not a path below"),
        ("echo x > a", "-P --transform=s,./a,/tmp/a,", "/tmp/a in the command's tar is not a path below"),
        ("echo x > a; echo y > b", "--transform=s,./b,./a,", "is in the tar twice"),
        ("ln -s /etc a", "", "is a link that leads out"),
        ("mkdir d; ln -s ../../etc d/a", "", "is a link that leads out"),
        ("mknod a c 1 3", "", "neither a file nor a folder nor a link"),
        ("mkfifo a", "", "neither a file nor a folder nor a link"),
        ("truncate -s 1M a", "--sparse", "is stored with holes"),
        ("truncate -s 1M a", "--sparse --format=pax", "is stored with holes"),
        ("ln -s . a; echo x > b", "--transform=s,./b,./a/b,", "is below a path that is not a folder"),
        (
            "echo x > a; ln a b",
            "--sort=name --transform=s,^./a$,./c,rSH",
            "is a hard link to a file that is not in the tar",
        ),
    ] {
        is_refused_with(&tar(line, options, ""), why);
    }
}

/// Neither a name nor the content can be found on the disk.
#[test]
fn output_is_encrypted_while_it_waits_on_the_disk() {
    let volume = TestVolume::new();
    volume.write("db/live", "live");
    let go = volume.beside("go").display().to_string();
    let line = format!("yes MARKER | head -c 400000; while ! [ -e {go} ]; do sleep 0.05; done");
    let profile = profile_with(&volume, &capture("stdout", &line, "file = \"db/live\""));
    let mut server = serving(&volume);
    let backup = volume.beside("b.seqbac");
    let start = volume.moorline(["backup", "--profile", &profile, "-o"]).args([&backup]);
    let mut running = start.env("MOORLINE_SECRETKEY", KEY).not_pid_1().start();
    let folder = format!("/proc/{}/fd", running.pid());
    let mut stored = Vec::new();
    running.until("the output is in the spool", || {
        let open = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_spool = |path: &std::path::PathBuf| {
            fs::read_link(path).is_ok_and(|target| target.to_string_lossy().ends_with(" (deleted)"))
        };
        stored = open.filter(is_spool).filter_map(|path| fs::read(path).ok()).max_by_key(Vec::len).unwrap_or_default();
        stored.len() > 300_000
    });
    assert!(!stored.windows(6).any(|bytes| bytes == b"MARKER"));
    fs::write(&go, "").expect("writes");
    let end = running.wait();
    server.signal(Signal::SIGKILL);
    server.wait();
    assert_eq!(end.code, 0, "{end}");
    let end = extracted(&volume, "db/live");
    assert!(end.code == 0 && end.out == "MARKER\n".repeat(60_000)[..400_000], "{}", end.err);
}

#[test]
fn a_file_on_stdout_takes_the_place_of_one_file() {
    let line = "echo copied";
    backup_with(&capture("stdout", line, "file = \"db/live\"\nreplaces = \"db/\""), |volume, end| {
        assert_eq!(end.code, 0, "{end}");
        let copy = TestVolume::new();
        let end = restored(volume, &copy, &volume.beside("x.toml"));
        assert_eq!((end.code, names(&copy.path("db"))), (0, vec!["live".to_owned()]), "{end}");
        assert_eq!((copy.read("db/live"), copy.read("other")), ("copied\n".into(), "other".into()));
        let [ours, theirs] = [&copy, volume].map(|volume| fs::metadata(volume.path("db/live")).expect("is there"));
        assert_eq!((ours.mode(), ours.uid()), (theirs.mode(), theirs.uid()));
    });
    is_refused_with(&capture("stdout", "echo half; exit 3", "file = \"db/live\""), "exit code 3");
    is_refused_with(&capture("stdout", "true", "file = \"db/live\""), "wrote nothing");
    let slow = "file = \"db/live\"\npace = \"100000GB\"";
    is_refused_with(&capture("stdout", "head -c 40000000 /dev/zero", slow), "less than the 100000000000 kB of `pace`");
}

/// What `unpack` and `prepare` do to the folder.
fn unpacked(unpack: &str, prepare: &str) -> String {
    let lines = format!(
        "replaces = \"db/\"\nfile = \"x.tar\"\nas = \"nobody\"\ncontains = [\"copy\", \"prepared\"]\nunpack = [\"/bin/sh\", \"-ec\", \
         '''{unpack}''', \"sh\", \"{{stage}}\"]\nprepare = [\"/bin/sh\", \"-ec\", '''{prepare}''', \"sh\", \"{{stage}}\"]\n"
    );
    let line = "d=$(mktemp -d); trap 'rm -r $d' EXIT; cd $d; echo copied > copy; tar -c .";
    capture("stdout", line, &lines)
}

#[test]
fn a_restore_unpacks_and_prepares_the_file_before_it_commits() {
    let right = unpacked("tar -x -C $1", "id -un > $1/prepared; env > $1/env");
    let cases = [
        (right.as_str(), ""),
        (&unpacked("exit 3", "true"), "exit code 3"),
        (&unpacked("tar -x -C $1", "echo no >&2; exit 4"), "exit code 4: no"),
        (&unpacked("tar -x -C $1", "true"), "does not contain prepared"),
        ("replaces = \"db/\"\ntar = [\"true\"]", "the profile does not have this capture with its `unpack`"),
    ];
    let volume = TestVolume::new();
    volume.write("db/live", "live");
    chown(volume.path("db"), Some(user_of("nobody").0), None).expect("changes the owner");
    backup_on(volume, &right, |volume, end| {
        assert_eq!(end.code, 0, "{end}");
        for (number, (profile, why)) in cases.iter().enumerate() {
            // Each profile is another program's idea of the same backup.
            let copy = TestVolume::new();
            let other = profile_with(&copy, profile);
            fs::create_dir(copy.path("db")).expect("creates");
            chown(copy.path("db"), Some(user_of("nobody").0), None).expect("changes the owner");
            let end = restored(volume, &copy, Path::new(&other));
            if !why.is_empty() {
                assert!(end.code != 0 && end.err.contains(why), "{number}: {end}");
                assert_eq!((names(&copy.path("db")), copy.has("other")), (vec!["old".to_owned()], false), "{number}");
                continue;
            }
            assert_eq!(end.code, 0, "{end}");
            assert_eq!(names(&copy.path("db")), ["copy", "env", "prepared"]);
            assert!(!copy.has("x.tar"));
            assert_eq!((copy.read("db/copy"), copy.read("db/prepared")), ("copied\n".into(), "nobody\n".into()));
            assert_eq!(fs::metadata(copy.path("db/copy")).expect("is there").uid(), user_of("nobody").0);
            assert!(!copy.read("db/env").contains("MOORLINE_"), "{}", copy.read("db/env"));
            let end = copy.moorline(["rollback", "-y"]).wait();
            assert_eq!((end.code, copy.read("db/old")), (0, "stale".into()), "{end}");
        }
    });
}

/// One engine may have two forms, and its configuration says which.
#[test]
fn a_capture_runs_if_its_condition_prints_yes() {
    let both = |first: &str, second: &str| {
        let [first, second] = [first, second].map(|word| format!("when = [\"/bin/sh\", \"-c\", \"{word}\"]"));
        let other = capture("stdout", "echo second", &format!("file = \"db/live\"\nreplaces = \"db/\"\n{second}"));
        capture("stdout", "echo first", &format!("file = \"db/live\"\n{first}\n[[capture]]\nname = \"y\"\n{other}"))
    };
    for (first, second, text) in [("echo yes", "echo no", "first\n"), ("echo no", "echo yes", "second\n")] {
        backup_with(&both(first, second), |volume, end| {
            assert_eq!(end.code, 0, "{end}");
            let end = extracted(volume, "db/live");
            assert_eq!((end.code, end.out.as_str()), (0, text), "{end}");
        });
    }
    is_refused_with(&both("echo no; exit 2", "echo no"), "`when` of the capture \"x\" failed");
    is_refused_with(&both("echo maybe", "echo no"), "instead of yes or no");
    is_refused_with(&both("echo yes", "echo yes"), "db/live is copied by two captures");
}
