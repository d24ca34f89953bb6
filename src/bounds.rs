//! Every bound of the program, with its unit and its reason.
//!
//! A *bound* is the program's own maximum; a *limit* is a quota of a connection, a group or an app, and stands in the
//! configuration.

use std::time::Duration;

/// Bytes of a slug, a name or a label.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of a model's name as an app sends it: providers' own ids stay far below.
pub const MODEL_BYTES_MAX: usize = 256;

/// Bytes of a request's body. Images and PDFs travel inside as base64; providers take about 20 MB of them.
pub const REQUEST_BODY_BYTES_MAX: usize = 32 * MIB;
/// Bytes of an admin request's body: a connection with its settings is small.
pub const ADMIN_BODY_BYTES_MAX: usize = MIB;
/// Bytes of a reply that is not streamed, after decoding: generous for embeddings in batches.
pub const REPLY_BODY_BYTES_MAX: usize = 32 * MIB;
/// Bytes of one frame of a stream: image models put whole pictures into one.
pub const STREAM_FRAME_BYTES_MAX: usize = 16 * MIB;
/// Bytes of a provider's error body that are read: the rest tells nobody anything.
pub const ERROR_BODY_BYTES_MAX: usize = 64 * KIB;
/// Bytes of frames that may be held back with the head before the first content.
pub const HELD_FRAMES_BYTES_MAX: usize = 256 * KIB;
/// Bytes of an error's text in a record, a log line or a reply.
pub const ERROR_TEXT_BYTES_MAX: usize = 512;
/// Bytes of a configuration file.
pub const CONFIG_FILE_BYTES_MAX: u64 = MIB as u64;
/// Bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 16 * KIB;
/// Bytes of all header lines of a request.
pub const HEAD_BYTES_MAX: usize = 64 * KIB;

/// Open connections to the socket, all callers together.
pub const CLIENTS_MAX: usize = 4_096;
/// Open connections to the socket of one user: one app's flood must not shut the others out.
pub const CLIENTS_PER_USER_MAX: usize = 2_048;
/// Idle connections kept open to one provider's host, by each worker.
pub const UPSTREAM_IDLE_PER_HOST_MAX: usize = 128;
/// How long an idle connection to a provider is kept.
pub const UPSTREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// Ways of connecting that a worker keeps pools for.
pub const UPSTREAM_CLIENTS_MAX: usize = 256;
/// Header lines of a provider's reply.
pub const UPSTREAM_HEADERS_MAX: usize = 128;
/// Bytes of the header list of a provider's HTTP/2 reply.
pub const UPSTREAM_HEADER_LIST_BYTES_MAX: u32 = 64 * KIB as u32;
/// The pause between pings on a quiet connection to a provider.
pub const UPSTREAM_PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a provider may leave a ping unanswered.
pub const UPSTREAM_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The time for a host's name to resolve.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(2);
/// Workers: more threads than this bring nothing to a sidecar.
pub const WORKERS_MAX: usize = 16;

/// The time a client has to send the first bytes that tell HTTP/1 from HTTP/2.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time from the first byte of a request's head to its last.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may idle between requests.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// The pause between two parts of a request's body.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// The time for a whole request body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a client may leave a reply unread.
pub const WRITE_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long running requests may go on after a stop was asked for.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Attempts more on one connection after a transient failure.
pub const RETRIES_PER_CONNECTION: u32 = 1;
/// Attempts of one request, whatever the number of its candidates.
pub const ATTEMPTS_MAX: usize = 64;
/// The first pause before a retry; it doubles, with full jitter.
pub const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause before a retry.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Usage records that may wait for the writer.
pub const USAGE_QUEUE_MAX: usize = 10_000;
/// Records in a block: measured at 1.2 µs and 58 B a record, while a value stays below 16 KiB.
pub const USAGE_BLOCK_RECORDS_MAX: usize = 250;
/// The longest time between two blocks while records wait.
pub const USAGE_BLOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Bytes of one value in the store: sled puts larger ones into files of their own, at ten times the cost.
pub const STORE_VALUE_BYTES_MAX: usize = 16 * KIB;
/// Bytes that decoding one record may allocate.
pub const STORE_RECORD_BYTES_MAX: u64 = 4 * MIB as u64;

/// Models of one provider, listed in TOML or fetched.
pub const MODELS_PER_PROVIDER_MAX: usize = 10_000;
/// Connections in all.
pub const CONNECTIONS_MAX: usize = 100_000;
/// Users whose groups are remembered.
pub const IDENTITY_CACHE_MAX: usize = 10_000;
/// How long the name service's answer about a user is believed.
pub const IDENTITY_CACHE_TTL: Duration = Duration::from_secs(10);

/// Rows of one usage reply.
pub const USAGE_ROWS_MAX: usize = 10_000;
/// Records of one page.
pub const USAGE_PAGE_MAX: usize = 1_000;

/// Numbers in one embeddings reply of the sandbox, all vectors together: about 10 MiB of JSON.
pub const SANDBOX_EMBEDDING_NUMBERS_MAX: usize = MIB;
/// Levels of a schema that the sandbox goes down, references included: providers take 5 to 10.
pub const SANDBOX_SCHEMA_DEPTH_MAX: usize = 64;
/// Bytes, roughly, of the instance of a schema that the sandbox makes up.
pub const SANDBOX_INSTANCE_BYTES_MAX: usize = 256 * KIB;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const _: () = {
    assert!(HELD_FRAMES_BYTES_MAX <= STREAM_FRAME_BYTES_MAX, "one frame must fit where frames are held");
    assert!(ERROR_BODY_BYTES_MAX <= REPLY_BODY_BYTES_MAX, "an error is a reply");
    assert!(CLIENTS_PER_USER_MAX < CLIENTS_MAX, "one user must leave room for others");
    assert!(USAGE_BLOCK_RECORDS_MAX <= USAGE_QUEUE_MAX, "a block must fit the queue");
};
