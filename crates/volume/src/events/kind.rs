//! All event types: name, level, message template.

use std::fmt;

/// The severity, with Seq's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Normal operation.
    Information,
    /// A person should check it.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// `Information`, `Warning`, `Error`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Information => "Information",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

macro_rules! kinds {
    ($($kind:ident $level:ident $template:literal;)*) => {
        /// An event type.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $template] $kind,)*
        }

        impl Kind {
            /// All event types.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name, `@i`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)* }
            }

            /// The level.
            #[must_use]
            pub const fn level(self) -> Level {
                match self { $(Self::$kind => Level::$level,)* }
            }

            /// The message template (<https://messagetemplates.org>): `{Name}` stands for the property of that name.
            #[must_use]
            pub const fn template(self) -> &'static str {
                match self { $(Self::$kind => $template,)* }
            }
        }
    };
}

kinds! {
    BackupComplete Information "Backup complete: {FileName}, {FileSizeBytes} bytes in {ElapsedSeconds} s";
    BackupSent Information "Backup streamed to a client and not stored: {FileSizeBytes} bytes in {ElapsedSeconds} s";
    BackupFailed Error "Backup failed: {Error}";
    BackupMissed Error "The backup due at {Due} is missing; the newest one is from {Newest}";
    BackupUnverified Warning "Backup {FileName} is doubtful: {Error}";
    BackupSuspect Error "Backup {FileName} is suspect: {Reason}; no older backup is removed until this is resolved";
    BackupRemoved Information "Backup {FileName} was removed, because only the {Keep} newest are kept";
    BackupTwinSuspected Warning "Another volume may be taking backups as instance {InstanceId}: {Reason}; no backup is removed until this is resolved";
    BackupVerified Information "Backup {FileName} was verified in full";
    VerificationFailed Error "Verification of backup {FileName} failed: {Error}";
    BackupUploaded Information "Backup {FileName} was uploaded by {Username}";
    RestoreRequested Warning "Restore of {FileName} was requested by {Username}: {Script} runs at the next start";
    RestoreApplied Warning "Backup {FileName} of {Created} was restored ({RestoreId})";
    RestoreFailed Error "Restore of {FileName} failed, and the state is unchanged: {Error}";
    RestoreUndone Warning "Restore {RestoreId} was undone";
    RollbackFailed Error "Rollback failed: {Error}";
    RollbackRequested Warning "Rollback of {RestoreId} was requested by {Username}: {Script} runs at the next start";
    ScriptRan Information "Init script {Script} is done";
    ScriptFailed Error "Init script {Script} failed: {Error}";
    ServerExited Warning "The server exited unexpectedly with code {ExitCode}";
    ServerStopped Information "The server was stopped and exited with code {ExitCode}";
    QuarantineEntered Warning "{Count} apps were switched off";
    AppsReleased Warning "{Count} apps were switched on again";
    AppsReleaseRequested Warning "{Username} requested that apps be switched on again at the next start of the server";
    SecretKeyNotBackedUp Warning "The secret key {KeyFingerprint} has not been confirmed as saved outside the volume";
    SecretKeyBackedUp Information "{Username} confirmed that the secret key {KeyFingerprint} is saved outside the volume";
    AppFailed Error "Notification {AppTitle} could not send {EventType}: {Error}";
    ConsoleStarted Information "The console listens on {Address}";
    ConsoleNotListening Warning "The console cannot listen on {Address}: {Error}";
    UserCreated Information "User {Username} was created by {By}";
    UserChanged Information "User {Username} was changed by {By}";
    UserRemoved Information "User {Username} was removed by {By}";
    LoginFailed Warning "Failed login as {Username} from {Address}";
    SettingChanged Information "Setting {SettingName} was changed by {Username}";
    ApiKeyCreated Information "API key {Title} was created by {By}";
    ApiKeyChanged Information "API key {Title} was changed by {By}";
    ApiKeyRemoved Information "API key {Title} was removed by {By}";
    AppCreated Information "Notification {AppTitle} was created by {By}";
    AppChanged Information "Notification {AppTitle} was changed by {By}";
    AppRemoved Information "Notification {AppTitle} was removed by {By}";
    SignalCreated Information "Signal {Title} was created by {By}";
    SignalChanged Information "Signal {Title} was changed by {By}";
    SignalRemoved Information "Signal {Title} was removed by {By}";
}

impl Kind {
    /// Whether users of the console, logged in or not, can cause any number of these events. `AppFailed` is one of them,
    /// because a failing notification causes one for each event that it sends.
    #[must_use]
    pub const fn can_be_caused_by_users(self) -> bool {
        matches!(
            self,
            Self::LoginFailed
                | Self::AppFailed
                | Self::SettingChanged
                | Self::UserCreated
                | Self::UserChanged
                | Self::UserRemoved
                | Self::ApiKeyCreated
                | Self::ApiKeyChanged
                | Self::ApiKeyRemoved
                | Self::AppCreated
                | Self::AppChanged
                | Self::AppRemoved
                | Self::SignalCreated
                | Self::SignalChanged
                | Self::SignalRemoved
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
