//! What people want of the controller now, and the settings with it.

use anyhow::Context;
use transcode_config::{
    Settings,
    contract::{Control, control_key},
    load::overlaid,
};

use super::{
    rules::rules_with,
    session::{Session, unreadable},
};

/// The control document; nothing special where nobody has written yet.
pub(crate) async fn current(session: &Session) -> anyhow::Result<Control> {
    let key = control_key(&session.settings.environment);
    let found = session.store.read_tagged::<Control>(&key).await.map_err(unreadable)?;
    Ok(found.map(|(control, _)| control).unwrap_or_default())
}

/// The settings with what `settings set` has put over them.
pub(crate) fn with_overlay(settings: &Settings, control: &Control) -> anyhow::Result<Settings> {
    match &control.settings {
        None => Ok(settings.clone()),
        Some(overlay) => {
            overlaid(settings, &overlay.values).context("what `settings set` has put does not fit")
        }
    }
}

/// The session as the controller reads messages now: with own profiles, and with what `settings set` has put.
pub(crate) async fn in_force(session: Session) -> anyhow::Result<Session> {
    let control = current(&session).await?;
    let settings = with_overlay(&session.settings, &control)?;
    let own = control.profiles.into_iter().map(|(name, own)| (name, own.profile));
    let rules = rules_with(&settings, &own.collect());
    Ok(Session { settings, rules, ..session })
}
