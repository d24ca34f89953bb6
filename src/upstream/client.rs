//! One pooled client for each way of connecting.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::address;
use super::error::TransportError;
use super::tls;
use crate::bounds;

/// What a provider says about connecting to it. Providers that say the same share a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// Whether TLS is spoken. Without it no roots are read, which saves a megabyte where all providers are on the LAN.
    pub tls: bool,
    /// Whether private and loopback addresses may be dialled.
    pub allow_private: bool,
    /// TLS roots of its own.
    pub ca_file: Option<PathBuf>,
    /// An HTTP or SOCKS proxy. The environment's proxies are ignored.
    pub proxy: Option<String>,
    /// The time for a connection to come about.
    pub connect_timeout: Duration,
}

/// Builds a client. It follows no redirect, retries nothing, reads no environment and decodes nothing. Names resolve within
/// the room of `lookups`.
pub(super) fn build(transport: &Transport, lookups: &Arc<Semaphore>) -> Result<reqwest::Client, TransportError> {
    let setup = |error: reqwest::Error| TransportError::Setup(format!("cannot set up the client: {error}"));
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(transport.tls, transport.ca_file.as_deref())?)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .user_agent(concat!("bursar/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Guarded { allow_private: transport.allow_private, lookups: Arc::clone(lookups) })
        .connect_timeout(transport.connect_timeout)
        .pool_max_idle_per_host(bounds::UPSTREAM_IDLE_PER_HOST_MAX)
        .pool_idle_timeout(bounds::UPSTREAM_IDLE_TIMEOUT)
        .http1_max_headers(bounds::UPSTREAM_HEADERS_MAX)
        .http2_max_header_list_size(bounds::UPSTREAM_HEADER_LIST_BYTES_MAX)
        .http2_keep_alive_interval(bounds::UPSTREAM_PING_INTERVAL)
        .http2_keep_alive_timeout(bounds::UPSTREAM_PING_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(bounds::UPSTREAM_PING_INTERVAL)
        .tcp_user_timeout(bounds::UPSTREAM_PING_INTERVAL + bounds::UPSTREAM_PING_TIMEOUT);
    if let Some(proxy) = &transport.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(setup)?);
    }
    builder.build().map_err(setup)
}

/// A resolver that gives out only addresses that may be dialled.
struct Guarded {
    allow_private: bool,
    lookups: Arc<Semaphore>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (allow_private, lookups) = (self.allow_private, Arc::clone(&self.lookups));
        Box::pin(async move {
            let found = tokio::time::timeout(bounds::DNS_TIMEOUT, look_up(lookups, name)).await??;
            let mut refused = None;
            let mut good: Vec<SocketAddr> = Vec::new();
            for candidate in found {
                match address::check(candidate.ip(), allow_private) {
                    Ok(()) => good.push(candidate),
                    Err(error) => refused = Some(error),
                }
            }
            match refused {
                Some(error) if good.is_empty() => Err(error.into()),
                _ => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

/// Asks the host's resolver, on a thread that waits for it. A lookup that nobody waits for any more goes on until the
/// resolver gives up: it keeps its room until then, so that a dead resolver leaves threads for what needs no name.
async fn look_up(lookups: Arc<Semaphore>, name: Name) -> io::Result<Vec<SocketAddr>> {
    let room = lookups.acquire_owned().await.map_err(io::Error::other)?;
    let looked_up = tokio::task::spawn_blocking(move || {
        let _room = room;
        (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter)
    });
    looked_up.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lookup_waits_for_room_and_gives_it_back() {
        let (lookups, name) = (Arc::new(Semaphore::new(1)), || "localhost".parse::<Name>().unwrap());
        let taken = Arc::clone(&lookups).acquire_owned().await.unwrap();
        let waits = look_up(Arc::clone(&lookups), name());
        let waited = tokio::time::timeout(Duration::from_millis(20), waits).await;
        assert!(waited.is_err(), "there is no room");
        drop(taken);
        assert!(look_up(Arc::clone(&lookups), name()).await.unwrap().iter().all(|one| one.ip().is_loopback()));
        assert_eq!(lookups.available_permits(), 1);
    }
}
