//! A volume without any space left: not even the metastore can be read, because SQLite makes files beside it.

use std::{fs, thread, time::Duration};

use super::client::{Console, serve};
use crate::support::TestVolume;

/// For so long nobody asks: the metastore is closed then, and has to be opened again.
const A_BREAK: Duration = Duration::from_millis(700);

/// Lines that put the volume onto a small file system, with `fill` to use it up.
fn small(volume: &TestVolume) -> String {
    let (root, copy) = (volume.root(), volume.beside("copy"));
    format!(
        "cp -a '{root}' '{copy}'; mount -t tmpfs -o size=4m none '{root}'; cp -a '{copy}'/. '{root}'
         fill() {{ cat /dev/zero > '{root}/filler' 2>/dev/null || :; }}",
        root = root.display(),
        copy = copy.display()
    )
}

#[test]
fn a_full_disk_is_called_that_and_the_probe_is_answered() {
    let volume = TestVolume::in_use();
    let (go, full) = (volume.beside("go"), volume.beside("full"));
    let filler = format!(
        "{}\n(while [ ! -e '{}' ] || [ -e '{}' ]; do sleep 0.02; done; fill; touch '{}') &",
        small(&volume),
        go.display(),
        // What is open already needs nothing more.
        volume.path(".moorline/metastore.db-shm").display(),
        full.display()
    );
    let mut console = Console::of(serve(&volume).before(&filler));
    fs::write(go, "").expect("written");
    console.running.until("the disk is full", || full.exists());
    let refused = loop {
        let answer = console.get("/api/settings");
        if answer.status != 200 {
            break answer;
        }
        thread::sleep(A_BREAK);
    };
    let refused = refused.says(503, "the disk is full").says(503, "free space").text();
    assert!(!refused.contains("move it aside"), "{refused}");
    let probed = console.get("/health");
    assert_eq!((probed.status, probed.value()["Status"].as_str()), (503, Some("degraded")), "{probed}");
}
