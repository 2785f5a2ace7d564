//! `Init/start.d/` at every start, `Init/ready.d/` once the server is healthy.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use nix::sys::signal::Signal;

use crate::support::{KEY, TestVolume};

/// `value` becomes ten times what it was, and this digit: the order shows in it.
fn digit(digit: u8) -> String {
    format!("read -r value < \"$DATA_DIR/value\"; echo $((value * 10 + {digit})) > \"$DATA_DIR/value\"\n")
}

fn counted() -> TestVolume {
    let volume = TestVolume::in_use();
    volume.write("value", "0\n");
    volume
}

#[test]
fn scripts_run_in_the_order_of_their_bytes_whatever_they_are() {
    let volume = counted();
    volume.script("9", format!("#!/bin/sh\n{}", digit(2)));
    volume.script("10", digit(1));
    volume.script("_", format!("#!/bin/bash -e\n{}", digit(5)));
    volume.script("a", digit(6));
    volume.script("B", digit(4));
    volume.script("A b\n", digit(3));
    let end = volume.run_sh("cat \"$MOORLINE_STORAGE/value\"").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "123456\n"), "{end}");
}

#[test]
fn start_scripts_run_at_every_start_between_init_and_the_server() {
    let volume = counted();
    volume.script("z", digit(1));
    volume.script("start.d/10-b", digit(3));
    volume.script("start.d/10-B", digit(2));
    volume.script("start.d/9", format!("#!/bin/sh\n{}", digit(4)));
    volume.script("start.d/.hidden", "exit 1");
    volume.script("start.d/x.bak", "exit 1");
    let server = "read -r value < \"$MOORLINE_STORAGE/value\"; echo $((value * 10 + 5))";
    let end = volume.run_sh(server).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "12345\n"), "{end}");
    let end = volume.run_sh(server).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "12342345\n"), "at every start, and z once: {end}");
    assert!(volume.has("Init/start.d/9") && !volume.has("Init/start.d/9.done"));
    assert_eq!(volume.ledger()["scripts"].as_array().map(Vec::len), Some(1), "only z is in the ledger");
}

fn example(name: &str) -> String {
    let folder = std::path::Path::new(env!("MOORLINE_REPOSITORY")).join("init-examples");
    std::fs::read_to_string(folder.join(name)).expect("an example")
}

#[test]
fn the_examples_work_word_for_word() {
    let volume = counted();
    volume.script("start.d/render-config.sh", example("start.d/render-config.sh"));
    for greeting in ["good morning", "good evening"] {
        let end = volume.run(["/bin/cat", "config.yaml"]).env("GREETING", greeting).wait();
        assert_eq!(volume.read("config.yaml"), format!("greeting: {greeting}\n"), "{end}");
    }
    volume.script("ready.d/first-backup.sh", example("ready.d/first-backup.sh"));
    let end = volume.moorline(["after-start"]).env("MOORLINE_HEALTH", "alive:0").not_pid_1().wait();
    assert_eq!((end.code, volume.has("Init/ready.d/first-backup.sh.done")), (0, true), "{end}");
    let backups = volume.moorline(["list", "--json"]).wait();
    assert!(backups.out.contains("immediate-"), "{backups}");
}

#[test]
fn a_start_script_of_any_kind_is_recognised_as_in_init() {
    let volume = counted();
    volume.script("start.d/1-built-in", "seqsvr show-key\r\n");
    volume.script("start.d/2-sed", "#!/bin/sed -f\np\n");
    volume.script("start.d/3-text", "pwd; echo \"$DATA_DIR $0\"; seqsvr --version");
    let end = volume.run(["/bin/echo", "up"]).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
    assert!(volume.read("Init/start.d/1-built-in.log").contains(&volume.read(".moorline/secret.key")), "{end}");
    let (root, log) = (volume.root(), volume.read("Init/start.d/3-text.log"));
    let root = root.display();
    assert!(log.starts_with(&format!("{root}/Init\n{root} {root}/Init/start.d/3-text\nmoorline ")), "{log}");

    volume.script("start.d/4-rubbish", b"\0\x01\x02");
    for _ in 0..2 {
        let end = volume.run(["/bin/echo", "up"]).wait();
        assert_eq!((end.code, end.out.as_str()), (14, ""), "{end}");
        assert!(
            end.err.contains("4-rubbish failed: the script cannot be run: it is neither text nor a program"),
            "{end}"
        );
    }
    assert!(volume.has("Init/start.d/4-rubbish"), "nothing is set aside");
}

#[test]
fn a_start_script_that_fails_ends_the_start_with_its_code_every_time() {
    let volume = counted();
    volume.script("start.d/1", "exit 42");
    volume.script("start.d/2", "touch \"$DATA_DIR/second\"");
    for _ in 0..4 {
        let end = volume.run(["/bin/echo", "up"]).wait();
        assert_eq!((end.code, end.out.as_str(), volume.has("second")), (42, "", false), "{end}");
        assert!(end.err.contains("start.d/1 failed: exited with 42"), "{end}");
    }
    assert!(volume.has("Init/start.d/1") && !volume.has(".moorline/init.json"));
    let end = volume.run(["/bin/echo", "up"]).env("MOORLINE_INIT_ON_FAILURE", "continue").wait();
    assert_eq!((end.code, end.out.as_str(), volume.has("second")), (0, "up\n", true), "{end}");
    let end = volume.run(["/bin/echo", "up"]).env("MOORLINE_SKIP_INIT", "1").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
}

#[test]
fn an_empty_volume_is_not_started_on_when_a_start_script_fails() {
    let volume = TestVolume::new();
    volume.script("start.d/1", "exit 3");
    let start = || volume.run(["/bin/echo", "up"]).env("MOORLINE_INIT_ON_FAILURE", "continue");
    assert_eq!(start().wait().code, 3);
    assert_eq!(start().env("MOORLINE_ALLOW_EMPTY", "1").wait().out, "up\n");
}

#[test]
fn a_start_script_is_stopped_with_the_container() {
    let volume = counted();
    volume.script("start.d/1", "touch \"$DATA_DIR/running\"; exec sleep 1000");
    let mut start = volume.run(["/bin/echo", "up"]).start();
    start.until("it runs", || volume.has("running"));
    start.signal(Signal::SIGTERM);
    let end = start.wait();
    assert_eq!((end.code, end.out.as_str()), (143, ""), "{end}");
}

#[test]
fn init_alone_runs_neither_of_the_folders() {
    let volume = counted();
    volume.script("start.d/1", "exit 1");
    volume.script("ready.d/1", "exit 1");
    let end = volume.moorline(["init"]).wait();
    assert_eq!(end.code, 0, "{end}");
    assert!(!end.err.contains("regular file"), "the folders are no surprise: {end}");
}

#[test]
fn ready_scripts_need_a_supervisor() {
    let volume = counted();
    volume.script("ready.d/1", "true");
    let end = volume.run(["/bin/echo", "up"]).wait();
    assert_eq!((end.code, end.out.as_str()), (2, ""), "{end}");
    assert!(
        end.err.contains("ready.d/1 can only run beside a supervised server") && end.err.contains("--supervise"),
        "{end}"
    );
    assert_eq!(volume.run(["/bin/echo", "up"]).env("MOORLINE_SKIP_INIT", "1").wait().out, "up\n");
    std::fs::rename(volume.path("Init/ready.d/1"), volume.path("Init/ready.d/1.done")).expect("renames");
    assert_eq!(volume.run(["/bin/echo", "up"]).wait().out, "up\n", "what is done waits for nobody");
}

/// A server that answers with these status lines, one after the other, and then with the last.
fn answers(statuses: &'static [&'static str]) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("has an address").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 1024]);
            let at = counter.fetch_add(1, Ordering::SeqCst).min(statuses.len() - 1);
            let _ = stream.write_all(format!("{}\r\n\r\n", statuses[at]).as_bytes());
        }
    });
    (port, count)
}

const SUPERVISED: [&str; 5] = ["run", "--supervise", "--", "/bin/sh", "-c"];

#[test]
fn beside_a_supervised_server_they_run_and_its_end_is_the_containers() {
    let volume = counted();
    volume.script("ready.d/1", "cat \"$DATA_DIR/up\"; id -u; echo ran > \"$DATA_DIR/ran\"");
    let (port, asked) = answers(&["HTTP/1.1 503 Not yet", "HTTP/1.1 200 OK"]);
    let server =
        "cd \"$MOORLINE_STORAGE\"; echo serving > up; until [ -e Init/ready.d/1.done ]; do sleep 0.02; done; exit 7";
    let start = volume.moorline(SUPERVISED).args([server]).env("MOORLINE_USER", "1000:1000");
    std::fs::set_permissions(volume.root(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("changes");
    let end = start.env("MOORLINE_HEALTH", format!("http://127.0.0.1:{port}/")).wait();
    assert_eq!((end.code, asked.load(Ordering::SeqCst)), (7, 2), "{end}");
    assert_eq!((volume.read("Init/ready.d/1.log").as_str(), volume.read("ran").as_str()), ("serving\n1000\n", "ran\n"));
    let end = volume.moorline(SUPERVISED).args(["id -u; id -g"]).env("MOORLINE_USER", "1000:1001").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "1000\n1001\n"), "{end}");
}

#[test]
fn a_ready_script_that_fails_does_not_stop_a_supervised_server() {
    let volume = counted();
    volume.script("ready.d/1", "exit 9");
    let mut server = volume
        .moorline(SUPERVISED)
        .args(["trap 'exit 5' TERM; while :; do sleep 0.05; done"])
        .env("MOORLINE_HEALTH", "alive:0")
        .start();
    server.until_log_has("ready.d/1 failed (attempt 1): exited with 9");
    let health = volume.moorline(["health"]).not_pid_1().wait();
    assert_eq!(health.code, 0, "{health}");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code, 5);
}

#[test]
fn a_ready_script_is_stopped_with_its_server_and_runs_again() {
    let volume = counted();
    volume.script("ready.d/1", "echo x >> \"$DATA_DIR/tries\"; [ -e \"$DATA_DIR/go\" ] || exec sleep 1000");
    let start = || volume.moorline(SUPERVISED).env("MOORLINE_HEALTH", "alive:0");
    let mut server = start().args(["trap 'exit 5' TERM; while :; do sleep 0.05; done"]).start();
    server.until("the script runs", || volume.has("tries"));
    server.signal(Signal::SIGTERM);
    let end = server.wait();
    assert_eq!((end.code, volume.has("Init/ready.d/1")), (5, true), "{end}");
    assert!(!end.err.contains("the server left running"), "{end}");
    volume.write("go", "");
    let end = start().args(["until [ -e \"$MOORLINE_STORAGE/Init/ready.d/1.done\" ]; do sleep 0.02; done"]).wait();
    assert_eq!((end.code, volume.read("tries").as_str()), (0, "x\nx\n"), "{end}");
    assert!(!end.err.contains("interrupted"), "a stop is no crash: {end}");
}

#[test]
fn a_server_that_is_never_healthy_is_stopped_as_fast_as_any() {
    let volume = counted();
    volume.script("ready.d/1", "true");
    let mut server = volume
        .moorline(SUPERVISED)
        .args(["trap 'exit 5' TERM; touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.05; done"])
        .env("MOORLINE_HEALTH", "tcp:127.0.0.1:1")
        .start();
    server.until("it is up", || volume.has("up"));
    server.signal(Signal::SIGTERM);
    let end = server.wait();
    assert_eq!((end.code, volume.has("Init/ready.d/1")), (5, true), "{end}");
    assert!(!end.err.contains("stopped"), "nothing was left to name: {end}");
}

#[test]
fn ready_scripts_run_once_when_the_server_is_healthy() {
    let volume = counted();
    let (port, asked) = answers(&["HTTP/1.1 503 Not yet", "rubbish", "HTTP/1.1 404 No", "HTTP/1.0 302 Found"]);
    volume.script("ready.d/2", digit(2));
    volume.script("ready.d/1", digit(1));
    volume.script("ready.d/3", format!("#!/bin/sh\n# seqsvr --secret-key={KEY}\n{}", digit(3)));
    let health = format!("http://127.0.0.1:{port}/up?x");
    let end = volume.moorline(["after-start"]).env("MOORLINE_HEALTH", &health).not_pid_1().wait();
    assert_eq!(end.code, 0, "{end}");
    assert_eq!(asked.load(Ordering::SeqCst), 4, "{end}");
    assert!(end.err.contains(&format!("the server is healthy ({health})")), "{end}");
    assert_eq!(volume.read("value"), "123\n");
    let mark = volume.read("Init/ready.d/3.done");
    assert!(mark.contains("--secret-key=[redacted]") && !mark.contains(KEY), "{mark}");
    assert_eq!(volume.ledger()["scripts"][0]["script"], "ready.d/1");
    let end = volume.moorline(["after-start"]).env("MOORLINE_HEALTH", "alive:0").not_pid_1().wait();
    assert_eq!((end.code, volume.read("value").as_str()), (0, "123\n"), "{end}");
}

#[test]
fn a_ready_script_that_fails_is_judged_as_in_init() {
    let volume = counted();
    volume.script("ready.d/1", digit(1) + "exit 7");
    for attempt in 1..=3 {
        if attempt == 3 {
            volume.age_failures();
        }
        let end = volume.moorline(["after-start"]).env("MOORLINE_HEALTH", "alive:0").not_pid_1().wait();
        assert_eq!(end.code, 7, "{end}");
        assert!(end.err.contains(&format!("ready.d/1 failed (attempt {attempt})")), "{end}");
    }
    assert_eq!(volume.read("value"), "111\n");
    assert!(volume.has("Init/ready.d/1.failed") && !volume.has("Init/ready.d/1"));
    let status = volume.moorline(["status", "--json"]).wait();
    assert!(status.out.contains("\"ready.d/1.failed\""), "{status}");
}

#[test]
fn nothing_restores_beside_the_server() {
    let volume = counted();
    assert_eq!(volume.moorline(["backup"]).wait().code, 0);
    volume.write("app.conf", "changed");
    volume.script("ready.d/1", "seqsvr restore -y --from-latest");
    let end = volume.moorline(["after-start"]).env("MOORLINE_HEALTH", "alive:0").not_pid_1().wait();
    assert_eq!(end.code, 14, "{end}");
    assert!(end.err.contains("move the script from Init/ready.d/ to Init/"), "{end}");
    assert!(volume.has("Init/ready.d/1.failed"), "{end}");
    // From a shell, and with the lock that the server has inherited.
    volume.script(".hidden/2", "seqsvr restore -y --from-latest; echo restore $?");
    let server = r#"cd "$MOORLINE_STORAGE"; mv Init/.hidden/2 Init/ready.d/
        for fd in /proc/self/fd/*; do
            [ "$(readlink "$fd")" = "$MOORLINE_STORAGE/.moorline/lock" ] && lock=${fd##*/}
        done
        MOORLINE_HEALTH=alive:0 MOORLINE_LOCK_FD=$lock "$MOORLINE" after-start"#;
    let end = volume.run_sh(server).env("MOORLINE", crate::support::MOORLINE).wait();
    assert_eq!(end.code, 75, "the script fails with its restore: {end}");
    assert!(volume.read("Init/ready.d/2.log").contains("in use by `run`"), "{end}");
    assert!(volume.read("Init/ready.d/2.log").contains("restore 75\n"), "{end}");
    assert_eq!(volume.read("app.conf"), "changed");
}

#[test]
fn a_server_that_is_never_healthy_holds_up_nothing() {
    let volume = counted();
    let (port, asked) = answers(&["HTTP/1.1 500 Never"]);
    volume.script("ready.d/1", "true");
    let start = volume.moorline(["after-start"]).env("MOORLINE_HEALTH", format!("http://localhost:{port}"));
    let mut start = start.not_pid_1().start();
    start.until("it was asked twice", || asked.load(Ordering::SeqCst) > 1);
    start.signal(Signal::SIGTERM);
    let end = start.wait();
    assert_eq!((end.code, volume.has("Init/ready.d/1")), (143, true), "{end}");
}

#[test]
fn beside_a_server_it_does_not_know_it_does_nothing() {
    let volume = counted();
    let mut server = volume.run_sh("touch \"$MOORLINE_STORAGE/up\"; exec sleep 1000").start();
    server.until("it is up", || volume.has("up"));
    volume.script("ready.d/1", "touch \"$DATA_DIR/ran\"");
    let end = volume.moorline(["after-start"]).env("MOORLINE_HEALTH", "alive:0").not_pid_1().wait();
    assert_eq!((end.code, volume.has("ran")), (75, false), "{end}");
    server.kill();
}
