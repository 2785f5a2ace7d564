//! The output of `restore --dry-run`: a table of the changes, store by store.

use super::output;
use engine::restore::{AppsState, DatabaseChange, DatabaseDiffers, Preview};

pub(super) fn show(preview: &Preview) {
    let (backup, created) = (preview.backup.display(), preview.backup_created);
    output::answer(&format!("restoring {backup} (created {created:.0}) would change:"));
    let mut rows = Vec::new();
    for DatabaseDiffers { path, change } in &preview.databases {
        match change {
            DatabaseChange::Appears => rows.push(row(path, "database", "appears", "", "")),
            DatabaseChange::Vanishes => rows.push(row(path, "database", "", "", "vanishes")),
            DatabaseChange::Changes(tables) => rows.extend(tables.iter().map(|table| {
                let name = format!("{path} {}", table.table);
                row(&name, "rows", &table.appear.to_string(), &table.change.to_string(), &table.vanish.to_string())
            })),
        }
    }
    let files = &preview.files;
    rows.extend(files.appear.iter().map(|path| row(path, "file", "appears", "", "")));
    rows.extend(files.change.iter().map(|path| row(path, "file", "", "changes", "")));
    rows.extend(files.vanish.iter().map(|path| row(path, "file", "", "", "moved aside")));
    output::table(["STORE", "WHAT", "APPEAR", "CHANGE", "VANISH"], rows.into_iter());
    output::answer(&format!("{} files and databases would stay the same", files.same));
    output::answer(match preview.apps {
        AppsState::Off => "apps would be off",
        AppsState::AsTheyWere => "apps would be as they were when the backup was taken",
    });
    for step in &preview.switched_off {
        output::answer(&output::printable(&format!(
            "off: {} {}: {}",
            step.step,
            step.apps.len(),
            step.apps.join(", ")
        )));
    }
    for note in &preview.notes {
        output::answer(&output::printable(note));
    }
}

fn row(name: &impl std::fmt::Display, what: &str, appear: &str, change: &str, vanish: &str) -> [String; 5] {
    [output::printable(&name.to_string()), what.into(), appear.into(), change.into(), vanish.into()]
}
