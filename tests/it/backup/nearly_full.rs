//! A volume that is nearly full, with a server that writes: backups to another disk neither fail the server nor take its room.

use std::ffi::OsStr;

use crate::fixture::in_mount_namespace;

/// Prints the exit codes of ten backups, the number of the server's failed commits, whether it has committed, and the lowest free
/// space in KiB.
const PYTHON: &str = r#"
import os, sqlite3, subprocess, sys, threading
moorline, root, out = sys.argv[1:]
free = lambda: (lambda stat: stat.f_bavail * stat.f_frsize)(os.statvfs(root))
with open(f"{root}/video.bin", "wb") as file:
    file.write(os.urandom(30 << 20))
database = sqlite3.connect(f"{root}/app.db", isolation_level=None, check_same_thread=False, timeout=60)
database.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, x)")
for number in range(400):
    database.execute("INSERT INTO t VALUES(?, ?)", (number, os.urandom(10000)))
with open(f"{root}/filler.bin", "wb") as file:
    file.write(os.urandom(free() - (5 << 20)))
os.sync()
lowest, failed, commits, stop = free(), 0, 0, threading.Event()
def serve():
    global failed, commits
    while not stop.is_set():
        try:
            database.execute("UPDATE t SET x=? WHERE n=?", (os.urandom(10000), commits % 400))
            commits += 1
        except sqlite3.Error as error:
            failed += 1
def watch():
    global lowest
    while not stop.wait(0.001):
        lowest = min(lowest, free())
threads = [threading.Thread(target=target) for target in (serve, watch)]
for thread in threads:
    thread.start()
codes = [subprocess.run([moorline, "--storage", root, "backup", "-o", f"{out}/{n}.seqbac"], stdout=subprocess.DEVNULL).returncode
         for n in range(10)]
stop.set()
for thread in threads:
    thread.join()
print(codes, failed, commits > 10, lowest >> 10)
"#;

#[test]
fn ten_backups_to_another_disk_cost_the_server_neither_a_commit_nor_room() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let script = "cd \"$1\"; mkdir volume out; truncate -s 64M image; mkfs.ext4 -q -m 0 image; mount -o loop image volume\n\
                  code=0; python3 -c \"$3\" \"$2\" volume out || code=$?; umount volume; exit $code";
    let arguments = [folder.path().as_os_str(), OsStr::new(env!("MOORLINE_PROGRAM")), OsStr::new(PYTHON)];
    let ran = in_mount_namespace(script, &arguments);
    let said = format!("{ran:#?}");
    let out = ran.succeeds();
    let (counts, lowest) = out.trim().rsplit_once(' ').expect(&said);
    assert_eq!(counts, "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0] 0 True", "{said}");
    // The server's own journal takes some of the 5 MiB.
    assert!(lowest.parse::<u64>().expect(&said) > 4800, "{said}");
}
