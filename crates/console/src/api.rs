//! The HTTP API: the table of routes with their documentation, and thin handlers.

mod backups;
mod events;
mod keys;
mod login;
pub(crate) mod openapi;
pub(crate) mod resource;
mod restores;
mod root;
mod settings;
mod signals;
mod users;

pub(crate) use self::{
    backups::stream,
    events::{EventQuery, find as find_events},
    login::{LoginInput, log_in, log_out},
    settings::set as set_setting,
};
use self::{
    events::EventEntity,
    openapi::Doc,
    resource::{create, find, list, remove, update},
    root::{Root, Status},
    signals::App,
};
use crate::{
    auth::PROBE,
    backups::Backup,
    entities::{
        instances::{AppInstance, AppInstanceInput},
        keys::{ApiKey, ApiKeyInput},
        roles::Role,
        settings::{Setting, SettingInput},
        signals::{Signal, SignalInput},
        users::{User, UserInput},
    },
    metrics,
    permission::Permission::{Organization, Project, Public, Read, System, Write},
    quarantine::{Quarantine, ReleaseInput, Released},
    restores::{Requested, Restore, RestoreInput},
    routes::{DELETE, GET, OPEN, POST, PUT, Routes},
};

pub(crate) fn routes() -> Routes {
    Routes::default()
        .on(GET, PROBE, OPEN, root::health)
        .doc(
            Doc::new(
                "Check the state of the backups; 503 if it is degraded. The reasons need the permission `System`.",
            )
            .login_is_optional()
            .returns::<Status>(200)
            .returns::<Status>(503),
        )
        .on(GET, "/metrics", System, root::metrics)
        .doc(
            Doc::new("Metrics for Prometheus. The API key may be sent as a bearer token.")
                .returns_text(metrics::MEDIA_TYPE),
        )
        .on(GET, "/api", OPEN, root::show)
        .doc(Doc::new("Show the product, its version, and the paths of the groups of routes.").returns::<Root>(200))
        .on(GET, "/api/openapi.json", OPEN, openapi::show)
        .merge(users())
        .merge(settings())
        .merge(backups())
        .merge(restores())
        .merge(signals())
        .on(GET, "/api/events", Read, events::list)
        .doc(Doc::new("List events, newest first.").query::<EventQuery>().lists::<EventEntity>().fails(&[404]))
}

fn users() -> Routes {
    Routes::default()
        .on(POST, "/api/users/login", OPEN, login::login)
        .doc(
            Doc::new("Log in. The response sets the session cookie and contains the `CsrfToken`.")
                .takes::<LoginInput>()
                .returns::<User>(200)
                .fails(&[401, 403, 429]),
        )
        .on(POST, "/api/users/logout", Public, login::logout)
        .doc(Doc::new("End the session.").returns_nothing(204))
        .on(GET, "/api/users/current", Public, users::current)
        .doc(Doc::new("Show the user who sends the request.").returns::<User>(200).fails(&[404]))
        .on(GET, "/api/users", Organization, list::<User>)
        .doc(Doc::new("List the users.").lists::<User>())
        .on(POST, "/api/users", Organization, create::<User>)
        .doc(Doc::new("Create a user.").takes::<UserInput>().returns::<User>(201))
        .on(GET, "/api/users/{id}", Public, find::<User>)
        .doc(
            Doc::new("Show one user. Users other than yourself need the permission `Organization`.")
                .returns::<User>(200),
        )
        .on(PUT, "/api/users/{id}", Public, update::<User>)
        .doc(
            Doc::new(
                "Change a user. Without the permission `Organization`, you can change your own display name, mail \
                 address and preferences, and, with `CurrentPassword`, your password.",
            )
            .takes::<UserInput>()
            .returns::<User>(200)
            .fails(&[409, 429]),
        )
        .on(DELETE, "/api/users/{id}", Organization, remove::<User>)
        .doc(Doc::new("Remove a user, its sessions and its API keys.").returns_nothing(204).fails(&[409]))
        .on(GET, "/api/roles", Read, users::roles)
        .doc(Doc::new("List the roles.").lists::<Role>())
        .on(GET, "/api/roles/{id}", Read, users::role)
        .doc(Doc::new("Show one role.").returns::<Role>(200))
        .on(GET, "/api/apikeys", Write, list::<ApiKey>)
        .doc(
            Doc::new("List API keys: your own, with `Project` also shared ones, with `Organization` all.")
                .lists::<ApiKey>(),
        )
        .on(POST, "/api/apikeys", Write, create::<ApiKey>)
        .doc(
            Doc::new("Create an API key. Only this response contains its `Token`.")
                .takes::<ApiKeyInput>()
                .returns::<ApiKey>(201),
        )
        .on(GET, "/api/apikeys/{id}", Write, find::<ApiKey>)
        .doc(Doc::new("Show one API key, without its token.").returns::<ApiKey>(200))
        .on(PUT, "/api/apikeys/{id}", Write, update::<ApiKey>)
        .doc(Doc::new("Change an API key. Its token stays the same.").takes::<ApiKeyInput>().returns::<ApiKey>(200))
        .on(DELETE, "/api/apikeys/{id}", Write, remove::<ApiKey>)
        .doc(Doc::new("Remove an API key. Requests with it fail from then on.").returns_nothing(204))
}

fn settings() -> Routes {
    Routes::default()
        .on(GET, "/api/settings", System, settings::list)
        .doc(Doc::new("List the settings.").lists::<Setting>())
        .on(GET, "/api/settings/{id}", System, settings::find)
        .doc(Doc::new("Show one setting.").returns::<Setting>(200))
        .on(PUT, "/api/settings/{id}", System, settings::update)
        .doc(Doc::new("Change a setting.").takes::<SettingInput>().returns::<Setting>(200).fails(&[409]))
        .on(DELETE, "/api/settings/{id}", System, settings::clear)
        .doc(Doc::new("Reset a setting to its default.").returns::<Setting>(200).fails(&[409]))
}

fn backups() -> Routes {
    Routes::default()
        .on(GET, "/api/backups", System, backups::list)
        .doc(Doc::new("List the backups, newest first.").lists::<Backup>())
        .upload("/api/backups", System, backups::upload)
        .doc(
            Doc::new(
                "Upload a backup, as the body or as a file in a multipart form. It is verified before it is kept. If \
                 it is sealed with another secret key, only its header, length and checksum are verified.",
            )
            .takes_bytes()
            .returns::<Backup>(201)
            .fails(&[409, 507]),
        )
        .on(POST, "/api/backups/immediate", System, backups::immediate)
        .doc(
            Doc::new("Take a backup, and download or keep it.")
                .query::<backups::Immediate>()
                .returns_bytes(200)
                .returns::<Backup>(201)
                .fails(&[409, 422]),
        )
        .on(GET, "/api/backups/{id}", System, backups::find)
        .doc(Doc::new("Show one backup.").returns::<Backup>(200))
        .on(GET, "/api/backups/files/{name}", System, backups::file)
        .doc(
            Doc::new("Download a backup. Supports `Range`, `If-Range` and `If-None-Match`.")
                .returns_bytes(200)
                .returns_bytes(206)
                .returns_nothing(304)
                .fails(&[416]),
        )
        .on(GET, "/api/backups/{id}/contents", System, backups::contents)
        .doc(
            Doc::new("List the contents of a backup, in the format of `moorline inspect --json`.")
                .returns_object()
                .fails(&[409, 422]),
        )
        .on(GET, "/api/backups/{id}/diff", System, backups::diff)
        .doc(
            Doc::new(
                "Show the changes that a restore would make, in the format of `moorline restore --dry-run --json`.",
            )
            .query::<backups::Compare>()
            .returns_object()
            .fails(&[409, 422]),
        )
        .on(POST, "/api/backups/{id}/restore", System, backups::restore)
        .doc(
            Doc::new(
                "Request a restore. This writes an init script; the next start of the container restores the backup.",
            )
            .takes::<RestoreInput>()
            .returns::<Requested>(202)
            .fails(&[409]),
        )
}

fn restores() -> Routes {
    Routes::default()
        .on(GET, "/api/restores", System, restores::list)
        .doc(Doc::new("List the restores, newest first.").lists::<Restore>())
        .on(GET, "/api/restores/requested", System, restores::requested)
        .doc(
            Doc::new("List the requested restores and rollbacks, which the next start of the container performs.")
                .lists::<Requested>(),
        )
        .on(DELETE, "/api/restores/requested/{script}", System, restores::cancel)
        .doc(Doc::new("Cancel a requested restore or rollback.").returns_nothing(204))
        .on(GET, "/api/restores/{id}", System, restores::find)
        .doc(Doc::new("Show one restore.").returns::<Restore>(200))
        .on(POST, "/api/restores/{id}/rollback", System, restores::roll_back)
        .doc(
            Doc::new(
                "Request a rollback. This writes an init script; the next start of the container brings back the \
                 replaced state.",
            )
            .returns::<Requested>(202)
            .fails(&[409]),
        )
        .on(GET, "/api/quarantine", System, restores::off)
        .doc(Doc::new("List the apps in quarantine.").returns::<Quarantine>(200))
        .on(POST, "/api/quarantine/release", System, restores::release)
        .doc(
            Doc::new("Release apps from quarantine: the console's own immediately, the server's at its next start.")
                .takes::<ReleaseInput>()
                .returns::<Released>(200)
                .fails(&[404, 409]),
        )
}

fn signals() -> Routes {
    Routes::default()
        .on(GET, "/api/signals", Read, list::<Signal>)
        .doc(Doc::new("List the signals.").lists::<Signal>())
        .on(POST, "/api/signals", Write, create::<Signal>)
        .doc(Doc::new("Create a signal.").takes::<SignalInput>().returns::<Signal>(201))
        .on(GET, "/api/signals/{id}", Read, find::<Signal>)
        .doc(Doc::new("Show one signal.").returns::<Signal>(200))
        .on(PUT, "/api/signals/{id}", Write, update::<Signal>)
        .doc(
            Doc::new("Change a signal. A signal that is protected or not your own needs the permission `Project`.")
                .takes::<SignalInput>()
                .returns::<Signal>(200),
        )
        .on(DELETE, "/api/signals/{id}", Write, remove::<Signal>)
        .doc(Doc::new("Remove a signal.").returns_nothing(204).fails(&[409]))
        .on(GET, "/api/apps", Project, signals::apps)
        .doc(Doc::new("List the kinds of notification.").lists::<App>())
        .on(GET, "/api/apps/{id}", Project, signals::app)
        .doc(Doc::new("Show one kind of notification.").returns::<App>(200))
        // `System`, because an app instance sends data to other hosts.
        .on(GET, "/api/appinstances", System, list::<AppInstance>)
        .doc(Doc::new("List the app instances, without their sensitive settings.").lists::<AppInstance>())
        .on(POST, "/api/appinstances", System, create::<AppInstance>)
        .doc(Doc::new("Create an app instance.").takes::<AppInstanceInput>().returns::<AppInstance>(201))
        .on(GET, "/api/appinstances/{id}", System, find::<AppInstance>)
        .doc(Doc::new("Show one app instance, without its sensitive settings.").returns::<AppInstance>(200))
        .on(PUT, "/api/appinstances/{id}", System, update::<AppInstance>)
        .doc(
            Doc::new("Change an app instance. A sensitive setting that is absent stays; an empty one is removed.")
                .takes::<AppInstanceInput>()
                .returns::<AppInstance>(200),
        )
        .on(DELETE, "/api/appinstances/{id}", System, remove::<AppInstance>)
        .doc(Doc::new("Remove an app instance.").returns_nothing(204))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_api_is_documented() {
        let routes = routes();
        let document = openapi::document(&routes);
        let undocumented = routes.rules.iter().filter(|rule| {
            let operation = &document["paths"][rule.path][rule.method.to_lowercase()];
            operation["summary"].as_str().is_none_or(str::is_empty)
        });
        let undocumented: Vec<_> = undocumented.map(|rule| rule.path).collect();
        assert!(routes.rules.len() > 40);
        assert_eq!(undocumented, ["/api/openapi.json"]);
    }
}
