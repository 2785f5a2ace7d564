//! Variables that scripts hand to the server with `$MOORLINE_ENV`.

use crate::support::TestVolume;

const SERVER: [&str; 3] = ["/bin/sh", "-c", "echo \"$A|$B|$MOORLINE_ENV\""];

#[test]
fn a_script_of_init_sets_variables_for_every_start() {
    let volume = TestVolume::in_use();
    volume.script("secrets", "echo \"A=from vault\" >> \"$MOORLINE_ENV\"\n");
    for _ in 0..2 {
        let end = volume.run(SERVER).wait();
        assert_eq!((end.code, end.out.as_str()), (0, "from vault||\n"), "{end}");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(volume.path(".moorline/server.env")).expect("is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    volume.script("secrets2", "test -z \"$A\" && echo B=2 >> \"$MOORLINE_ENV\"\n");
    assert_eq!(volume.run(SERVER).wait().out, "from vault|2|\n", "only the server sees them");
    std::fs::remove_file(volume.path("Init/secrets.done")).expect("removed");
    volume.script("secrets", "true\n");
    assert_eq!(volume.run(SERVER).wait().out, "|2|\n", "when the script runs again, its earlier variables are gone");
}

#[test]
fn a_start_script_sets_variables_for_this_start() {
    let volume = TestVolume::in_use();
    volume.script("once", "echo A=once >> \"$MOORLINE_ENV\"\n");
    volume.write("Init/start.d/each", "echo \"A=each\nB=$(ls \"$DATA_DIR\" | grep -c again)\" >> \"$MOORLINE_ENV\"\n");
    assert_eq!(volume.run(SERVER).wait().out, "each|0|\n");
    volume.write("again", "");
    assert_eq!(volume.run(SERVER).wait().out, "each|1|\n");
    std::fs::remove_dir_all(volume.path("Init/start.d")).expect("removed");
    assert_eq!(volume.run(SERVER).wait().out, "once||\n");
}

#[test]
fn what_a_script_may_not_hand_over_is_an_error() {
    for (name, line) in [
        ("own", "echo MOORLINE_USER=0 >> \"$MOORLINE_ENV\""),
        ("seq", "echo SEQ_STORAGE_SECRETKEY=x >> \"$MOORLINE_ENV\""),
        ("no-variable", "echo 'export A' >> \"$MOORLINE_ENV\""),
        ("too-long", "head -c 70000 /dev/zero | tr '\\0' x >> \"$MOORLINE_ENV\""),
    ] {
        let volume = TestVolume::in_use();
        volume.script(name, line);
        let end = volume.run(SERVER).wait();
        assert_eq!((end.code, end.out.as_str()), (14, ""), "{name}: {end}");
        assert_eq!(volume.scripts(), [format!("{name}.failed")], "{name}: {end}");
    }
}

#[test]
fn a_link_in_place_of_the_file_is_not_followed() {
    let volume = TestVolume::in_use();
    volume.write("elsewhere", "A=stolen\n");
    volume.script("link", "rm \"$MOORLINE_ENV\" && ln -s \"$DATA_DIR/elsewhere\" \"$MOORLINE_ENV\"\n");
    let end = volume.run(SERVER).wait();
    assert_eq!((end.code, end.out.as_str()), (14, ""), "{end}");
    assert!(end.err.contains("it replaced the file in $MOORLINE_ENV"), "{end}");
}
