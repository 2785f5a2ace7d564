//! The volume as it is: links out of it, mounts inside it, read-only, nearly full.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
};

use crate::fixture::{Data, argument, in_mount_namespace, names};

#[test]
fn links_out_of_the_volume_are_named() {
    let (data, disk) = (Data::with_state(), Data::empty());
    disk.database("app.db", "wal", &["x"]);
    for number in 0..7 {
        symlink(disk.path("app.db"), data.path(&format!("link{number}"))).expect("a link");
    }
    let ran = data.moorline(&["backup"]);
    assert!(ran.stderr.contains("7 symbolic links lead out of the volume"), "{ran:#?}");
    assert!(ran.stderr.contains("link0, link1") && ran.stderr.contains("and 2 more"), "{ran:#?}");
    ran.succeeds();
}

#[test]
fn mounts_inside_the_volume_are_named_and_not_called_left_out() {
    let data = Data::with_state();
    for name in ["media/one", "file"] {
        data.file(name, "before");
    }
    let script = r#"
        mount -t tmpfs none "$1/media"; echo x > "$1/media/two"
        mount --bind "$1/config.json" "$1/file"
        "$2" --storage "$1" backup > "$1/.moorline.out"
        "$2" --storage "$1" inspect "$(cat "$1/.moorline.out")"
    "#;
    let program = std::ffi::OsStr::new(env!("MOORLINE_PROGRAM"));
    let ran = in_mount_namespace(script, &[data.root().as_os_str(), program]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stderr.contains("2 mounts are inside the volume") && ran.stderr.contains("file, media"), "{ran:#?}");
    assert!(!ran.stdout.contains("left out") && ran.stdout.contains("state/media/two"), "{ran:#?}");
    assert_eq!(ran.stdout.lines().filter(|line| line.starts_with("mount ")).count(), 2, "{ran:#?}");
}

#[test]
fn a_read_only_volume_is_backed_up_to_another_place() {
    let (data, out) = (Data::empty(), Data::empty());
    data.database("wal.db", "wal", &["one"]);
    data.database("delete.db", "delete", &["two"]);
    data.backup();
    let script = r#"
        mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"
        "$3" --storage "$1" backup -o "$2/b.seqbac"
    "#;
    let program = std::ffi::OsStr::new(env!("MOORLINE_PROGRAM"));
    let ran = in_mount_namespace(script, &[data.root().as_os_str(), out.root().as_os_str(), program]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let file = out.path("b.seqbac");
    data.moorline(&["extract", argument(&file), "-o", argument(&out.path("x"))]).succeeds();
    assert_eq!([out.rows("x/state/wal.db"), out.rows("x/state/delete.db")], [["one"], ["two"]]);
}

/// A volume of 96 MiB with 40 MiB of state needs no room of its own for a backup to another disk.
#[test]
fn a_backup_to_another_disk_takes_no_room_on_the_volume() {
    let out = Data::empty();
    let script = r#"
        mkdir "$1/v"; mount -t tmpfs -o size=96m none "$1/v"
        head -c 40M /dev/urandom > "$1/v/video"; truncate -s 200M "$1/v/sparse"
        python3 - "$1/v" <<'P'
import os, sqlite3, sys
c = sqlite3.connect(sys.argv[1] + '/app.db'); c.execute("PRAGMA journal_mode = DELETE"); c.execute("CREATE TABLE t(x)")
for _ in range(30): c.execute("INSERT INTO t VALUES (?)", (os.urandom(1 << 20),))
c.commit()
P
        "$2" --storage "$1/v" backup -o "$1" &
        low=999999
        while kill -0 $! 2>/dev/null; do
            free=$(df -k --output=avail "$1/v" | tail -1); [ "$free" -lt "$low" ] && low=$free; sleep 0.05
        done
        wait $!; echo "low $low"
        rm -f "$1/v/sparse"
        MOORLINE_SPOOL="$1/v" "$2" --storage "$1/v" backup -o "$1" && exit 1
        true
    "#;
    let program = std::ffi::OsStr::new(env!("MOORLINE_PROGRAM"));
    let ran = in_mount_namespace(script, &[out.root().as_os_str(), program]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let low = ran.stdout.lines().find_map(|line| line.strip_prefix("low ")).expect("measured");
    assert!(low.parse::<u64>().expect("a number") > 20 << 10, "{ran:#?}");
    assert!(ran.stderr.contains("MOORLINE_SPOOL") && ran.stderr.contains("has room for 0 MiB"), "{ran:#?}");
}

#[test]
fn the_full_disk_is_the_one_that_the_error_names() {
    let data = Data::with_state();
    let content: Vec<u8> =
        (0..3_u32 << 20).flat_map(|number| blake3::hash(&number.to_le_bytes()).as_bytes()[..4].to_vec()).collect();
    fs::write(data.path("large"), content).expect("writes");
    let script = r#"
        mkdir "$1/small"; mount -t tmpfs -o size=1m none "$1/small"
        "$2" --storage "$1" backup -o "$1/small/b.seqbac"
    "#;
    let program = std::ffi::OsStr::new(env!("MOORLINE_PROGRAM"));
    let ran = in_mount_namespace(script, &[data.root().as_os_str(), program]);
    ran.fails(75, &["small/b.seqbac: no space left on device"]);
    assert!(File::open(data.path("large")).is_ok() && names(&data.path("Backups")).is_empty());
}
