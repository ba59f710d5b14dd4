//! A ticket: the identity of an upload as a browser holds it.
//!
//! It names key, upload id, size and time, and is signed: nobody makes one, and nobody changes one into that of another
//! upload. A service that gives tickets out needs no database.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::plan::PartPlan;
use crate::WebError;

/// Shortest secret, in bytes: as long as its hash.
const MIN_SECRET: usize = 32;

/// Longest ticket that is read, in bytes. A key of 1,024 bytes and an id of S3 need less.
const MAX_TICKET: usize = 4096;

/// The secret that signs tickets. All instances of a service have the same one; a new one ends all tickets.
pub struct TicketKey(hmac::Key);

impl TicketKey {
    /// From a secret of at least 32 random bytes: `openssl rand -base64 48`.
    pub fn new(secret: &[u8]) -> Result<Self, WebError> {
        if secret.len() < MIN_SECRET {
            return Err(WebError::refused(format!("the secret of tickets has at least {MIN_SECRET} bytes")));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }
}

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Object key in the bucket of the sources.
    pub key: String,
    /// S3's id of the multipart upload.
    pub upload: String,
    /// Size of the file, in bytes.
    pub bytes: u64,
    /// When no more addresses are given for it (ms since 1970). Its job can be looked at later, too.
    pub until_ms: u64,
}

impl Ticket {
    /// The parts of its file.
    pub fn plan(&self) -> Result<PartPlan, WebError> {
        PartPlan::of(self.bytes)
    }

    /// The ticket as text: letters, digits, `-`, `_` and one dot.
    pub fn sealed(&self, key: &TicketKey) -> String {
        // A plain structure: serialising it cannot fail.
        let body = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default());
        let seal = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key.0, body.as_bytes()));
        format!("{body}.{seal}")
    }

    /// Reads a ticket that this key has sealed. The error says nothing about why: there is nobody to help.
    pub fn open(text: &str, key: &TicketKey) -> Result<Self, WebError> {
        let read = || {
            let (body, seal) = text.split_once('.').filter(|_| text.len() <= MAX_TICKET)?;
            let seal = BASE64_URL_SAFE_NO_PAD.decode(seal).ok()?;
            hmac::verify(&key.0, body.as_bytes(), &seal).ok()?;
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(body).ok()?).ok()
        };
        read().ok_or_else(|| WebError::NotFound("upload".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_with_its_own_key_unchanged_and_not_otherwise() {
        let (ours, theirs) = (TicketKey::new(&[1; 32]).unwrap(), TicketKey::new(&[2; 32]).unwrap());
        let ticket = Ticket { key: "in/a.mp4".into(), upload: "id".into(), bytes: 9, until_ms: 5 };
        let text = ticket.sealed(&ours);
        assert_eq!(Ticket::open(&text, &ours).unwrap(), ticket);
        assert!(Ticket::open(&text, &theirs).is_err());
        let other = Ticket { key: "in/b.mp4".into(), ..ticket }.sealed(&theirs);
        let (forged, seal) = (other.split_once('.').unwrap().0, text.split_once('.').unwrap().1);
        for text in [format!("{forged}.{seal}"), format!("{forged}."), text.replace('.', ""), String::new()] {
            assert!(Ticket::open(&text, &ours).is_err(), "{text}");
        }
        assert!(TicketKey::new(&[1; 31]).is_err());
    }
}
