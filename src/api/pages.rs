//! Pages of lists: how many entries, and tokens that say where the next page begins. A token is opaque, and good for the
//! request that it came from only.

use std::mem;

use prost::Message;
use sha2::{Digest, Sha256};

use crate::{
    api::convert::Checked,
    error::FieldProblem,
    proto::{
        AdminServiceListProjectsRequest, ListAlertsRequest, ListApiKeysRequest, ListAuditRowsRequest,
        ListCatalogueRequest, ListChainsRequest, ListEnforcementRequest, ListIncreaseRequestsRequest,
        ListLimitsRequest, ListPlansRequest, ListProjectsRequest, ListProviderPoolsRequest, ListQuotasRequest,
        ListSessionsRequest,
    },
};

/// Most entries of a page.
pub const MOST_ENTRIES: usize = 1_000;
/// Bytes of the digest that a token begins with: enough to tell a token of this request from anything else.
const DIGEST_BYTES: usize = 8;
/// Longest place that a token holds, in bytes: a kind and a model's name.
const MOST_PLACE_BYTES: usize = 256;

/// What a request says of the page that it wants.
#[derive(Clone, Debug)]
pub struct Page {
    /// Most entries.
    pub size: usize,
    /// The place after which it begins; `None` for the first page.
    pub after: Option<Vec<u8>>,
    parameters: Vec<u8>,
}

/// A request for a page of a list.
pub trait Paged: Message {
    /// Its size and token.
    fn page(&mut self) -> (&mut i32, &mut String);
}

macro_rules! paged {
    ($($request:ident,)+) => {$(
        impl Paged for $request {
            fn page(&mut self) -> (&mut i32, &mut String) {
                (&mut self.page_size, &mut self.page_token)
            }
        }
    )+};
}

paged! {
    AdminServiceListProjectsRequest,
    ListAlertsRequest,
    ListApiKeysRequest,
    ListAuditRowsRequest,
    ListCatalogueRequest,
    ListChainsRequest,
    ListEnforcementRequest,
    ListIncreaseRequestsRequest,
    ListLimitsRequest,
    ListPlansRequest,
    ListProviderPoolsRequest,
    ListProjectsRequest,
    ListQuotasRequest,
    ListSessionsRequest,
}

impl Page {
    /// Takes what a request for `list` says of its page out of it; more entries than a page may have are cut to that.
    ///
    /// # Errors
    /// When the size is negative, or the token is not one that was given for such a request.
    pub fn take(list: &'static str, default_size: usize, request: &mut impl Paged) -> Checked<Self> {
        let (size, token) = request.page();
        let (size, token) = (mem::take(size), mem::take(token));
        Self::read(list, size, default_size, &token, request)
    }

    /// `parameters` is the request without size and token.
    fn read(
        list: &'static str,
        page_size: i32,
        default_size: usize,
        page_token: &str,
        parameters: &impl Message,
    ) -> Checked<Self> {
        let size = match usize::try_from(page_size) {
            Ok(0) => default_size,
            Ok(size) => size.min(MOST_ENTRIES),
            Err(_) => return Err(FieldProblem::new("page_size", format!("is {page_size}; 0 or more is needed"))),
        };
        let mut page = Self { size, after: None, parameters: [list.as_bytes(), &parameters.encode_to_vec()].concat() };
        if !page_token.is_empty() {
            let place = unhex(page_token).and_then(|bytes| page.place(&bytes));
            page.after = Some(place.ok_or_else(not_given)?);
        }
        Ok(page)
    }

    /// The token of the page that begins after a place.
    pub fn token(&self, place: &[u8]) -> String {
        let digest = self.digest(place);
        digest.iter().chain(place).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The place as numbers of fixed length.
    ///
    /// # Errors
    /// When it has another length, which no token that was given has.
    pub fn place_of<const N: usize>(&self) -> Checked<Option<[u8; N]>> {
        self.after.as_deref().map(|place| place.try_into().map_err(|_| not_given())).transpose()
    }

    /// Takes a page out of the entries after the place; with the last of them when there are more.
    pub fn cut<T: Copy>(&self, entries: impl IntoIterator<Item = T>) -> (Vec<T>, Option<T>) {
        let mut cut: Vec<T> = entries.into_iter().take(self.size + 1).collect();
        let more = cut.len() > self.size;
        cut.truncate(self.size);
        let last = cut.last().copied().filter(|_| more);
        (cut, last)
    }

    fn place(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (digest, place) = bytes.split_first_chunk::<DIGEST_BYTES>()?;
        (*digest == self.digest(place)).then(|| place.to_vec())
    }

    fn digest(&self, place: &[u8]) -> [u8; DIGEST_BYTES] {
        let length = (place.len() as u64).to_le_bytes();
        let hash = Sha256::new().chain_update(length).chain_update(place).chain_update(&self.parameters).finalize();
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(&hash[..DIGEST_BYTES]);
        digest
    }
}

/// The answer to a token that was not given for the request.
pub fn not_given() -> FieldProblem {
    FieldProblem::new("page_token", "is not one that was given for this request; leave it empty for the first page")
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() > 2 * (DIGEST_BYTES + MOST_PLACE_BYTES) || !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    digits.chunks_exact(2).map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(project: &str) -> ListSessionsRequest {
        ListSessionsRequest { project: project.to_owned(), ..Default::default() }
    }

    #[test]
    fn size_and_token_are_no_part_of_what_a_token_is_for() {
        let mut first = ListSessionsRequest { page_size: 2, ..request("a") };
        let token = Page::take("sessions", 100, &mut first).unwrap().token(&[1]);
        assert_eq!(first, request("a"));
        let mut next = ListSessionsRequest { page_size: 3, page_token: token, ..request("a") };
        let page = Page::take("sessions", 100, &mut next).unwrap();
        assert_eq!((page.size, page.after.as_deref(), next), (3, Some(&[1][..]), request("a")));
    }

    #[track_caller]
    fn refused(list: &'static str, size: i32, token: &str, project: &str, field: &str) {
        let problem = Page::read(list, size, 100, token, &request(project)).unwrap_err();
        assert_eq!(problem.field, field);
    }

    #[test]
    fn a_token_leads_on_with_the_request_that_it_came_from_only() {
        let first = Page::read("sessions", 0, 100, "", &request("a")).unwrap();
        assert_eq!((first.size, &first.after), (100, &None));
        let token = first.token(&[1, 2, 3]);
        let next = Page::read("sessions", 5_000, 100, &token, &request("a")).unwrap();
        assert_eq!((next.size, next.after.as_deref()), (MOST_ENTRIES, Some(&[1, 2, 3][..])));
        assert_eq!(next.place_of::<3>().unwrap(), Some([1, 2, 3]));
        assert_eq!(next.place_of::<4>().unwrap_err().field, "page_token");
        refused("sessions", 0, &token, "b", "page_token");
        refused("limits", 0, &token, "a", "page_token");
        refused("sessions", 0, &token[1..], "a", "page_token");
        refused("sessions", 0, &token.replace('0', "1"), "a", "page_token");
        refused("sessions", 0, "ü", "a", "page_token");
        refused("sessions", 0, &"00".repeat(10_000), "a", "page_token");
        refused("sessions", -1, "", "a", "page_size");
    }
}
