//! kill -9, of backups and of `moorline instance`: no volume takes itself for a clone afterwards.

use serde_json::Value;

use super::{
    before_each_change,
    scene::{Scene, Template, moorline},
    strace, strace_killed,
};

/// Runs a command, and kills it at each change that it makes, each time on a volume of its own. How many kills.
fn killed_before_each_change(template: &Template, arguments: &[&str], before: impl Fn(&Scene)) -> u32 {
    before_each_change(|point| {
        let scene = template.fresh();
        before(&scene);
        let mut command = strace(&scene, point);
        command.args(["-f", env!("MOORLINE_PROGRAM"), "--storage"]).arg(scene.data());
        let output = command.args(arguments).output().expect("strace runs");
        let was_killed = strace_killed(&scene);
        assert!(was_killed || output.status.success(), "{point:?}: {}", String::from_utf8_lossy(&output.stderr));
        moorline(&scene.data(), &["backup", "--scheduled"]);
        assert_eq!(shown(&scene)["twins"], Value::Null, "{point:?}");
        moorline(&scene.data(), &["restore", "-y", "--from-latest"]);
        was_killed
    })
}

fn shown(scene: &Scene) -> Value {
    let mut moorline = std::process::Command::new(env!("MOORLINE_PROGRAM"));
    let output = moorline.arg("--storage").arg(scene.data()).args(["instance", "show", "--json"]).output();
    serde_json::from_slice(&output.expect("moorline starts").stdout).expect("is JSON")
}

#[test]
fn a_backup_killed_before_each_change_it_makes_leaves_no_backup_that_is_not_recorded() {
    let template = Template::new();
    let without_record = |scene: &Scene| {
        std::fs::remove_file(scene.data().join(".moorline/backups.json")).expect("was recorded");
    };
    let kills = [
        killed_before_each_change(&template, &["backup", "--scheduled"], |_| ()),
        killed_before_each_change(&template, &["backup", "--scheduled"], without_record),
    ];
    println!("killed before {kills:?} changes");
    assert!(kills.iter().all(|kills| *kills > 5), "strace did not kill where it should: {kills:?}");
}

#[test]
fn a_decision_about_a_clone_that_is_killed_before_each_change_can_be_repeated() {
    let template = Template::new();
    for decision in ["adopt", "new"] {
        let kills = killed_before_each_change(&template, &["instance", decision], |_| ());
        assert!(kills > 3, "strace did not kill where it should: {kills}");
    }
}
