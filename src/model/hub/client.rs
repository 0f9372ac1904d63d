//! Requests to the hub.
//!
//! Redirections are followed here rather than by the HTTP client, because the token belongs to the
//! hub's own host and to no other: large files come from elsewhere. What the hub says of a file
//! (commit, hash, size) is likewise taken from its own host.

use super::names::encoded;
use crate::error::{Error, Result};
use std::io::Read;
use std::time::Duration;
use ureq::http::{HeaderMap, Response, Uri, header};
use ureq::{Agent, Body};

/// Most redirections of one request.
const REDIRECTIONS: usize = 8;

/// Where a request goes: nothing that is for one origin is sent to another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    fn of(address: &Uri) -> Option<Self> {
        let scheme = address.scheme_str()?.to_ascii_lowercase();
        let port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = address.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        Some(Self { port: address.port_u16().unwrap_or(port), scheme, host })
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        let is_usual = matches!((self.scheme.as_str(), self.port), ("http", 80) | ("https", 443));
        if is_usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// The hub's address, and what proves to it who asks.
pub(super) struct Client {
    origin: Origin,
    /// User and password that stand in the address.
    user: Option<String>,
    /// The path that the address ends with, without a last slash.
    prefix: String,
    token: Option<String>,
    agent: Agent,
    patience: Duration,
}

/// A file on the hub, and its content on the way.
pub(super) struct Remote {
    /// The commit that the revision stands for.
    pub(super) commit: String,
    /// What the hub calls the content.
    pub(super) etag: String,
    /// Its bytes, where the hub says.
    pub(super) size: Option<u64>,
    /// The first byte that is sent.
    pub(super) start: u64,
    /// What is sent.
    pub(super) content: Box<dyn Read>,
}

/// Why there is no file.
pub(super) enum Refusal {
    /// The hub says that it does not exist.
    Missing,
    /// The hub wants to know who asks.
    Forbidden,
    /// Anything else, in words.
    Other(String),
}

impl Client {
    /// A client of the hub at `endpoint`. Without a word for `patience` it gives up.
    pub(super) fn new(endpoint: &str, token: Option<String>, patience: Duration) -> Result<Self> {
        // The address is not repeated: a password may stand in it.
        let wrong = || {
            Error::input(
                "HF_ENDPOINT is not the address of a hub; write one such as https://huggingface.co",
            )
        };
        let address: Uri = endpoint.trim_end_matches('/').parse().map_err(|_| wrong())?;
        let origin = Origin::of(&address).ok_or_else(wrong)?;
        if address.query().is_some() {
            return Err(wrong());
        }
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Error::input(
                "HF_TOKEN is not a token of the hub: it has spaces or other odd characters; copy \
                 it again",
            ));
        }
        let user = address
            .authority()
            .and_then(|authority| authority.as_str().rsplit_once('@'))
            .map(|(user, _)| user.to_string());
        let config = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_resolve(Some(patience))
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .timeout_per_write(Some(patience))
            .user_agent(concat!("orthant/", env!("CARGO_PKG_VERSION")))
            .build();
        let prefix = address.path().trim_end_matches('/').to_string();
        Ok(Self { origin, user, prefix, token, agent: config.into(), patience })
    }

    /// The hub's address, without user and password.
    pub(super) fn address(&self) -> String {
        format!("{}{}", self.origin, self.prefix)
    }

    /// Asks for a file of `repository` (as it stands in addresses) from byte `start` on. A hub that
    /// does not do that sends all of it. Of what the hub's own host says of the file on the way,
    /// the last counts.
    pub(super) fn open(
        &self,
        repository: &str,
        revision: &str,
        file: &str,
        start: u64,
    ) -> Result<Remote, Refusal> {
        let (revision, file) = (encoded(revision, false), encoded(file, true));
        let mut address = format!("{}/{repository}/resolve/{revision}/{file}", self.address());
        let mut said = None;
        for _ in 0..=REDIRECTIONS {
            let response = self.request(&address, start)?;
            let is_own = self.is_own(&address);
            let status = response.status().as_u16();
            if matches!(status, 301 | 302 | 303 | 307 | 308) {
                let next = Self::redirection(&address, response.headers())?;
                if is_own {
                    said = Said::by(response.headers()).ok().or(said);
                }
                address = next;
                continue;
            }
            return match status {
                200 | 206 => {
                    let here = if is_own {
                        Said::by(response.headers())
                    } else {
                        Err(other("another host answers for it"))
                    };
                    let said = here.or_else(|refusal| said.ok_or(refusal))?;
                    received(said, start, response)
                }
                404 => Err(Refusal::Missing),
                401 | 403 if is_own => Err(Refusal::Forbidden),
                429 => Err(other("it is asked too often (status 429); try again later")),
                _ => Err(other(format!("it answers with status {status}"))),
            };
        }
        Err(other("it redirects without end"))
    }

    fn request(&self, address: &str, start: u64) -> Result<Response<Body>, Refusal> {
        let is_own = self.is_own(address);
        let address = match (&self.user, address.split_once("://")) {
            (Some(user), Some((scheme, rest))) if is_own => format!("{scheme}://{user}@{rest}"),
            _ => address.to_string(),
        };
        // Compressed on the way, content would have another size.
        let mut request = self.agent.get(address).header(header::ACCEPT_ENCODING, "identity");
        if let Some(token) = self.token.as_ref().filter(|_| is_own && self.user.is_none()) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        request.call().map_err(|error| other(self.in_words(&error)))
    }

    /// Whether an address is on the hub's own host.
    fn is_own(&self, address: &str) -> bool {
        address.parse().ok().and_then(|address| Origin::of(&address)).as_ref() == Some(&self.origin)
    }

    fn redirection(from: &str, headers: &HeaderMap) -> Result<String, Refusal> {
        let strange = || other("it redirects to an address that cannot be followed");
        let location = headers
            .get(header::LOCATION)
            .and_then(|location| location.to_str().ok())
            .ok_or_else(strange)?;
        let from = from.parse().ok().and_then(|from| Origin::of(&from)).ok_or_else(strange)?;
        if location.starts_with('/') && !location.starts_with("//") {
            return Ok(format!("{from}{location}"));
        }
        let to = location.parse().ok().and_then(|to| Origin::of(&to)).ok_or_else(strange)?;
        if from.scheme == "https" && to.scheme != "https" {
            return Err(other("it redirects to an address that is not encrypted"));
        }
        Ok(location.to_string())
    }

    /// An error without addresses: users, passwords and signatures may stand in them.
    fn in_words(&self, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(_) => silence(self.patience),
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                silence(self.patience)
            }
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::HostNotFound => "there is no such host".to_string(),
            ureq::Error::BadUri(_) => {
                "it redirects to an address that cannot be followed".to_string()
            }
            ureq::Error::InvalidProxyUrl | ureq::Error::ConnectProxyFailed(_) => {
                "the proxy cannot be used".to_string()
            }
            other => other.to_string(),
        }
    }

    /// An error while content is on its way.
    pub(super) fn broken(&self, error: &std::io::Error) -> String {
        match error.get_ref().and_then(|error| error.downcast_ref::<ureq::Error>()) {
            Some(error) => self.in_words(error),
            None if error.kind() == std::io::ErrorKind::TimedOut => silence(self.patience),
            None => error.to_string(),
        }
    }
}

fn silence(patience: Duration) -> String {
    format!(
        "nothing came for {} s (HF_HUB_DOWNLOAD_TIMEOUT says how long to wait)",
        patience.as_secs_f64()
    )
}

fn other(text: impl Into<String>) -> Refusal {
    Refusal::Other(text.into())
}

/// What the hub's own host says of a file.
struct Said {
    commit: String,
    etag: String,
    size: Option<u64>,
}

impl Said {
    fn by(headers: &HeaderMap) -> Result<Self, Refusal> {
        let get = |name: &str| {
            headers.get(name).map(|value| value.to_str().unwrap_or_default().to_string())
        };
        let missing = |name| other(format!("its answer has no {name}, so it is not a hub"));
        let etag = get("x-linked-etag").or_else(|| get("etag")).ok_or_else(|| missing("ETag"))?;
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_string();
        let commit = get("x-repo-commit").ok_or_else(|| missing("X-Repo-Commit"))?;
        let size = get("x-linked-size").map(|size| size.parse()).transpose();
        Ok(Self {
            commit,
            etag,
            size: size
                .map_err(|_| other("its answer has an X-Linked-Size that is not a number"))?,
        })
    }
}

fn received(said: Said, asked: u64, response: Response<Body>) -> Result<Remote, Refusal> {
    let get = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    // Whatever does not begin where it was asked to is taken from its beginning, or not at all.
    let start = if response.status().as_u16() == 206 {
        let range = get(header::CONTENT_RANGE)
            .and_then(|range| range.strip_prefix("bytes ")?.split_once('-'));
        let start = range.and_then(|(start, _)| start.parse::<u64>().ok());
        match start {
            Some(start) if start == asked => start,
            _ => return Err(other("it sends another part of the file than was asked for")),
        }
    } else {
        0
    };
    let length = response.body().content_length();
    let size = said.size.or_else(|| length.map(|length| length.saturating_add(start)));
    let content = Box::new(response.into_body().into_reader());
    Ok(Remote { commit: said.commit, etag: said.etag, size, start, content })
}
