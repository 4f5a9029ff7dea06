//! Browsers that are signed in: each by a cookie that stands for its API key for some hours, and says nothing of it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    access::{Pass, Refused, Secret, SignIn, sign_in::NUMBER_BYTES},
    model::Time,
    service::access::{Access, random},
};

/// How long a browser is signed in at most: a working day, with its overtime.
pub const SIGNED_IN_FOR: Duration = Duration::from_secs(12 * 3_600);
/// Sign-ins that ended by hand and are remembered until they would have ended by themselves. What is beyond is forgotten,
/// the soonest to end first: its browser holds the cookie no more, and its key can be revoked.
const MOST_ENDED: usize = 65_536;
/// Longest cookie that is looked at, in bytes: one of ours is far shorter.
const MAX_COOKIE_BYTES: usize = 512;

/// Sign-ins that ended by hand.
#[derive(Debug, Default)]
pub struct Ended(Mutex<HashMap<[u8; NUMBER_BYTES], Time>>);

/// Why nobody is signed in by a cookie, and whose it was said to be.
type NotSignedIn = (Refused, Option<Box<str>>);

impl Access {
    /// The value of the cookie of a browser that showed an API key, and until when it is good: never longer than the key.
    pub fn sign_in(&self, pass: &Pass, now: Time) -> (Secret<String>, Time) {
        let most = now.after(SIGNED_IN_FOR);
        let until = pass.until().map_or(most, |until| until.min(most));
        let sign_in = SignIn { number: random(), until, key: pass.id().into() };
        let sealed = self.vault.seal_sign_in(&sign_in, random());
        (Secret::new(URL_SAFE_NO_PAD.encode(sealed)), until)
    }

    /// What a browser with this cookie is good for.
    ///
    /// # Errors
    /// Why it is not taken, and whose it was said to be.
    pub fn signed_in(&self, cookie: &str, now: Time) -> Result<Pass, NotSignedIn> {
        let sign_in = self.read(cookie).ok_or((Refused::Unknown, None))?;
        let refused = |refused| (refused, Some(sign_in.key.clone()));
        if self.signed_out.has(&sign_in.number) {
            return Err(refused(Refused::Revoked));
        }
        let credential = self.credentials().get(&sign_in.key).cloned().ok_or_else(|| refused(Refused::Unknown))?;
        let pass = Pass::of(credential, sign_in.until);
        pass.check(now).map_err(refused)?;
        pass.used(now);
        Ok(pass)
    }

    /// Ends the sign-in of a browser; also of whoever else has its cookie.
    pub fn sign_out(&self, cookie: &str, now: Time) {
        if let Some(sign_in) = self.read(cookie) {
            self.signed_out.end(&sign_in, now);
        }
    }

    fn read(&self, cookie: &str) -> Option<SignIn> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie).ok().filter(|_| cookie.len() <= MAX_COOKIE_BYTES)?;
        self.vault.open_sign_in(&sealed)
    }
}

impl Ended {
    fn has(&self, number: &[u8; NUMBER_BYTES]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(number)
    }

    fn end(&self, sign_in: &SignIn, now: Time) {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= MOST_ENDED {
            ended.retain(|_, until| *until > now);
        }
        if ended.len() >= MOST_ENDED
            && let Some(soonest) = ended.iter().min_by_key(|(_, until)| **until).map(|(number, _)| *number)
        {
            ended.remove(&soonest);
        }
        ended.insert(sign_in.number, sign_in.until);
    }
}
