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
/// Bytes of all requests' bodies together: a host has more to do than to keep them. Eight of the largest fit.
pub const REQUEST_BODIES_BYTES_MAX: usize = 256 * MIB;
/// Bytes of a request's body that count for nothing in all bodies together: most are smaller, and shall cost nothing.
pub const REQUEST_BODY_BYTES_FREE: usize = 64 * KIB;
/// Bytes of a request's body up to which it is copied when it is changed; longer ones go out in pieces.
pub const SPLICE_COPIED_BYTES_MAX: usize = 16 * KIB;
/// Bytes of an admin request's body: a connection with its settings is small.
pub const ADMIN_BODY_BYTES_MAX: usize = MIB;
/// Fields of a form: OpenAI's largest has a dozen, and may repeat one for each of a few files.
pub const FORM_FIELDS_MAX: usize = 256;
/// Bytes of a reply that is not streamed, after decoding: generous for embeddings in batches.
pub const REPLY_BODY_BYTES_MAX: usize = 32 * MIB;
/// Bytes of one frame of a stream: image models put whole pictures into one.
pub const STREAM_FRAME_BYTES_MAX: usize = 16 * MIB;
/// Bytes of a provider's error body that are read: the rest tells nobody anything.
pub const ERROR_BODY_BYTES_MAX: usize = 64 * KIB;
/// How long a provider's error body may take.
pub const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of frames that may be held back with the head before the first content.
pub const HELD_FRAMES_BYTES_MAX: usize = 256 * KIB;
/// The most that a provider may count of anything in one reply. More is a fault of its own, and is taken for not told: it
/// would use up limits and budgets, and drown the sums.
pub const USAGE_FIGURE_MAX: u64 = 100_000_000;
/// The most that one reply may cost, in nano-dollars, for the same reason: 10,000 USD.
pub const USAGE_COST_MAX: u64 = 10_000_000_000_000;
/// Answers in one stream that is translated: as many as an app may ask for (`n`).
pub const STREAM_ANSWERS_MAX: usize = 128;
/// Bytes that the arguments of one call may grow to where they come in pieces: a call is a message, not a file.
pub const CALL_ARGUMENTS_BYTES_MAX: usize = 8 * MIB;
/// Bytes that one thought of a streamed answer may grow to: no model writes more tokens in a whole answer.
pub const THOUGHT_BYTES_MAX: usize = 8 * MIB;
/// Calls of tools in one reply that is gathered: an app may name 128 tools, and models call few of them at once.
pub const REPLY_CALLS_MAX: usize = 1_024;
/// Steps of a path to a piece of arguments: deeper than any schema, and no deeper than recursion may go.
pub const CALL_PATH_STEPS_MAX: usize = 64;
/// Bytes of an error's text in a record, a log line or a reply.
pub const ERROR_TEXT_BYTES_MAX: usize = 512;
/// Bytes of a configuration file.
pub const CONFIG_FILE_BYTES_MAX: u64 = MIB as u64;
/// Fragments of a configuration: one for each provider of a large host, and room.
pub const CONFIG_FRAGMENTS_MAX: usize = 1_000;
/// Bytes of a configuration with all its fragments: ten thousand connections, with room for what is said of each.
pub const CONFIG_BYTES_MAX: u64 = 16 * MIB as u64;
/// Things that are named when a removal is refused: the others are counted.
pub const REMOVED_NAMED_MAX: usize = 20;
/// Problems of a configuration that are told at once: nobody reads more.
pub const CONFIG_PROBLEMS_MAX: usize = 100;
/// Bytes of what a user interface keeps with a provider or a connection: its choices, and not its data.
pub const NOTES_BYTES_MAX: usize = 16 * KIB;
/// Levels of that.
pub const NOTES_DEPTH_MAX: usize = 16;
/// Changes of a configuration that are named in one line of the log: status and `bursar reload` name all.
pub const LOGGED_CHANGES_MAX: usize = 20;
/// The pause after which changes of a configuration's directory count as one: editors save in several steps.
pub const CONFIG_SETTLE_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes of a file of another program that is imported: a table of keys is far smaller.
pub const IMPORT_FILE_BYTES_MAX: u64 = 16 * MIB as u64;
/// Parts of such a file, those of repeated ones counted again.
pub const IMPORT_NODES_MAX: usize = 1_000_000;
/// Levels of such a file.
pub const IMPORT_DEPTH_MAX: usize = 64;
/// How often configuration files are looked at even if no change was seen: network file systems tell of none.
pub const CONFIG_POLL_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest timeout that can be set: what is shorter fails on any network.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// The longest timeout that can be set: nobody waits for more than a day.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest time for which usage can be kept: less would not last to the next rollup.
pub const RETENTION_MIN: Duration = Duration::from_secs(60 * 60);
/// The longest time for which usage can be kept: longer means forever, and dates must not overflow.
pub const RETENTION_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// The least room that usage records can be bounded to: the segment that is written, and one more.
pub const RETENTION_BYTES_MIN: u64 = 2 * USAGE_SEGMENT_BYTES_MAX;
/// Bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 16 * KIB;
/// Records that one key seals under random nonces before it must be replaced: half of what NIST SP 800-38D allows.
pub const SEALS_PER_KEY_MAX: u64 = 1 << 31;
/// Bytes of a backup's passphrase, at the least.
pub const PASSPHRASE_BYTES_MIN: usize = 12;
/// Bytes of a passphrase, at the most.
pub const PASSPHRASE_BYTES_MAX: usize = KIB;
/// KiB of memory that a passphrase is stretched with: OWASP asks for 19 MiB at the least.
pub const PASSPHRASE_MEMORY_KIB: u32 = 64 * KIB as u32;
/// Passes over that memory.
pub const PASSPHRASE_PASSES: u32 = 3;
/// KiB of memory that a backup may ask for: it is read before anything proves where it comes from.
pub const PASSPHRASE_MEMORY_KIB_MAX: u32 = 1024 * KIB as u32;
/// Passes that a backup may ask for.
pub const PASSPHRASE_PASSES_MAX: u32 = 16;
/// Bytes of a backup that are sealed together.
pub const BACKUP_CHUNK_BYTES: usize = 64 * KIB;
/// Chunks of a backup on their way to whoever asked for it.
pub const BACKUP_CHUNKS_WAITING_MAX: usize = 4;
/// Bytes of all header lines of a request.
pub const HEAD_BYTES_MAX: usize = 64 * KIB;

/// Open connections to the apps' socket, all callers together.
pub const CLIENTS_MAX: usize = 4_096;
/// Open connections to the apps' socket of one user: one app's flood must not shut the others out.
pub const CLIENTS_PER_USER_MAX: usize = 2_048;
/// Open connections to the operators' socket, where they have one of their own, all callers together.
pub const ADMIN_CLIENTS_MAX: usize = 512;
/// Open connections to the operators' socket of one user.
pub const ADMIN_CLIENTS_PER_USER_MAX: usize = 256;
/// Idle connections kept open to one provider's host, by each worker.
pub const UPSTREAM_IDLE_PER_HOST_MAX: usize = 128;
/// How long an idle connection to a provider is kept.
pub const UPSTREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// Ways of connecting that a worker keeps pools for.
pub const UPSTREAM_CLIENTS_MAX: usize = 256;
/// Header lines of a provider's reply: as many as hyper reads without asking for memory.
pub const UPSTREAM_HEADERS_MAX: usize = 100;
/// Bytes of the header list of a provider's HTTP/2 reply.
pub const UPSTREAM_HEADER_LIST_BYTES_MAX: u32 = 64 * KIB as u32;
/// The pause between pings on a quiet connection to a provider.
pub const UPSTREAM_PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a provider may leave a ping unanswered.
pub const UPSTREAM_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The time for a host's name to resolve.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(2);
/// Hosts' names that one worker looks up at once: half of the threads that it has for what blocks.
pub const DNS_LOOKUPS_MAX: usize = BLOCKING_THREADS_MAX / 2;
/// Workers: more threads than this bring nothing to a sidecar.
pub const WORKERS_MAX: usize = 16;

/// The window of limits by the minute.
pub const LIMIT_WINDOW: Duration = Duration::from_secs(60);
/// How much longer a call counts than the window: clocks run apart, and providers count with a grain of their own.
pub const LIMIT_WINDOW_GUARD: Duration = Duration::from_secs(1);
/// Calls that arrive within so long count as one part of a window, until the last of them is too old: it bounds the parts.
pub const LIMIT_WINDOW_GRAIN: Duration = Duration::from_millis(250);
/// How many minutes of a limit an overshoot may cost at most: a provider's slip in its figures must not cost a day.
pub const LIMIT_DEBT_WINDOWS_MAX: u32 = 60;
/// Scopes that one attempt counts in: connection and group, each for all models and for its own.
pub const LIMIT_SCOPES_MAX: usize = 4;
/// Budgets, in all.
pub const BUDGETS_MAX: usize = 1_000;
/// The part of a day's limit that is written down ahead, and that a crash may count too much: one in so many.
pub const LIMIT_LEASE_PART: u64 = 100;
/// Requests that are written down ahead at least, as far as that is no great part of the limit.
pub const LIMIT_LEASE_REQUESTS: u64 = 50;
/// How great a part that may be: one in so many.
pub const LIMIT_LEASE_PART_MOST: u64 = 10;
/// How long writing day counters down takes, at a guess: whoever finds them used up may come again then.
pub const LIMIT_LEASE_INTERVAL: Duration = Duration::from_millis(250);
/// How long before the last minute a call may have begun that counts in it after a start.
pub const LIMIT_REBUILD_CALLS: Duration = Duration::from_secs(15 * 60);
/// Requests that wait for room, all apps together: each holds its body in memory.
pub const WAITING_MAX: usize = 4_096;
/// Requests of one app that wait for room.
pub const WAITING_PER_APP_MAX: usize = 1_024;
/// How long a request waits at least before it looks again: clocks differ in the last digit.
pub const WAIT_LEAST: Duration = Duration::from_millis(1);
/// Full scopes that one request waits at.
pub const WAITING_SCOPES_MAX: usize = 64;
/// Averages of a feature's output that are kept, twice over.
pub const OUTPUT_AVERAGES_MAX: usize = 4_096;
/// Tokens that a reply is taken for while nothing is known of its feature: a paragraph or two.
pub const OUTPUT_TOKENS_DEFAULT: u64 = 500;
/// Bytes of text that a token is taken for.
pub const TEXT_BYTES_PER_TOKEN: u64 = 4;
/// Bytes of text that a token may stand for at most: what is larger than a context window even so need not be sent.
pub const TEXT_BYTES_PER_TOKEN_MOST: u64 = 16;
/// Tokens that an image, a recording or a document is taken for.
pub const MEDIA_TOKENS: u64 = 1_500;
/// Bytes without a space or a quote from which they are taken for an image, a recording or a document in base64.
pub const MEDIA_BYTES_MIN: usize = 2 * KIB;

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
/// Streams at once on one HTTP/2 connection.
pub const HTTP2_STREAMS_MAX: u32 = 256;
/// Bytes of one request's header list over HTTP/2.
pub const HTTP2_HEADER_LIST_BYTES_MAX: u32 = 64 * KIB as u32;
/// The pause between pings to a quiet HTTP/2 client.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(15);
/// How long an HTTP/2 client may leave a ping unanswered.
pub const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an HTTP/2 connection looks whether its streamed replies are read: small beside any deadline.
pub const UNREAD_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Of `Retry-After`: up to so many seconds an SDK may well wait itself.
pub const RETRY_AFTER_SOON_S: u64 = 60;
/// The longest pause after accepting failed.
pub const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Users that the name service is asked for at once, all workers together: where it hangs, threads are left for others.
pub const IDENTITY_LOOKUPS_MAX: usize = 4;
/// Threads of one worker that may wait for names, addresses and the store.
pub const BLOCKING_THREADS_MAX: usize = 16;
/// The time for a connection's test.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// Tests of connections that run at once: a check of all must not take the calls' own room upstream.
pub const PROBES_AT_ONCE_MAX: usize = 8;
/// How long running requests may go on after a stop was asked for.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long what blocks may go on after the requests: changes whose client is gone, and names that nobody waits for.
pub const BLOCKED_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a command waits for the daemon to begin a reply that needs no work: far more than a busy one with a slow disk
/// takes. Before what does need work, `/healthz` has so long.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the demo's daemon may take to start: far more than it does on a busy machine.
pub const DEMO_START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the demo's daemon may take to stop: nothing runs in it any more.
pub const DEMO_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Attempts more on one connection after a transient failure.
pub const RETRIES_PER_CONNECTION: u32 = 1;
/// Attempts of one request, whatever the number of its candidates.
pub const ATTEMPTS_MAX: usize = 64;
/// Retries that a provider may have for a hundred requests: more would make an outage worse.
pub const RETRY_PERCENT: i64 = 20;
/// Seconds for which a request counts in the budget of retries.
pub const RETRY_WINDOW_S: usize = 10;
/// Retries in that time that need no requests to pay for them: a host with little traffic has one a second.
pub const RETRIES_FREE: i64 = 10;
/// When half of a connection's pace is forgotten: a minute without a call, and little of it is left.
pub const PACE_HALF_LIFE: Duration = Duration::from_secs(10);
/// How slow an attempt counts that failed, at the least: most replies begin sooner.
pub const PACE_OF_FAILURE: Duration = Duration::from_secs(2);
/// Connections of one priority that are named when none of them can be used for one and the same reason.
pub const ALIKE_SKIPPED_MAX: usize = 64;
/// The first pause before a retry; it doubles, with full jitter.
pub const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause before a retry.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Requests whose way through the candidates is remembered; the usage records know the attempts of older ones.
pub const TRACES_MAX: usize = 4_096;
/// Bytes, roughly, of all that is remembered of them: four times what as many ordinary requests take.
pub const TRACES_BYTES_MAX: usize = 8 * MIB;
/// Passed-over connections of one request that are remembered by name, and shown: nobody reads more.
pub const TRACE_SKIPPED_MAX: usize = 256;
/// Events that are kept for whoever comes later, and that a reader may be behind.
pub const EVENTS_MAX: usize = 1_024;
/// Bytes of an event's sentence: one of a reload may name many problems.
pub const EVENT_TEXT_BYTES_MAX: usize = KIB;
/// The pause after which a quiet stream of events shows that it is alive.
pub const EVENTS_PING_INTERVAL: Duration = Duration::from_secs(15);

/// What `Retry-After` says where no provider gave a hint.
pub const RETRY_AFTER_DEFAULT: Duration = COOLDOWN_GUESS;

/// The shortest time that a provider's hint makes a connection cool: a hint of nothing would be a loop.
pub const HINT_MIN: Duration = Duration::from_secs(1);
/// The longest time for which a provider's hint is believed: longer ones are mistakes, and nobody would notice them.
pub const HINT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a connection cools after a rate limit without a hint; it doubles while the next tries fail too.
pub const COOLDOWN_GUESS: Duration = Duration::from_secs(15);
/// The longest such time.
pub const COOLDOWN_GUESS_MAX: Duration = Duration::from_secs(120);
/// The longest time to a provider's daily reset: a day that daylight saving makes an hour longer, and some room.
pub const COOLDOWN_DAY_MAX: Duration = Duration::from_secs(26 * 60 * 60);
/// Cooldowns from this length on are stored at once; shorter ones gather for a moment.
pub const COOLDOWN_STORED_AT_ONCE: Duration = Duration::from_secs(10);
/// How long a model is left alone that a credential may not use.
pub const NOT_FOR_KEY: Duration = Duration::from_secs(60 * 60);
/// Models of one account that cool, or are not for its key, at once: an app may make up names.
pub const MODELS_MARKED_MAX: usize = 500;
/// How long changes of health gather before they are stored together.
pub const FACTS_INTERVAL: Duration = Duration::from_millis(250);
/// The pause between two tries to store them while the store takes nothing.
pub const FACTS_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The time over which a breaker looks back.
pub const BREAKER_WINDOW: Duration = Duration::from_secs(60);
/// Failures in a row that open a breaker.
pub const BREAKER_IN_A_ROW: u32 = 5;
/// Attempts in its window below which a breaker makes nothing of the share that failed.
pub const BREAKER_ATTEMPTS_MIN: u32 = 10;
/// How long a breaker stays open at first; it doubles while probes fail.
pub const BREAKER_OPEN: Duration = Duration::from_secs(15);
/// The longest time that it stays open.
pub const BREAKER_OPEN_MAX: Duration = Duration::from_secs(5 * 60);

/// How often it is looked for what is remembered of connections that are no more.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How often it is looked whether a connection is to be probed.
pub const PROBER_LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// How often a parked account is probed.
pub const PARKED_PROBE_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// The first pause before a rejected credential is probed; it doubles.
pub const REJECTED_PROBE_PAUSE: Duration = Duration::from_secs(5 * 60);
/// The longest such pause: a key that is refused for days will hardly be taken tomorrow.
pub const REJECTED_PROBE_PAUSE_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// How long a stream may linger after it has said that it is over.
pub const AFTER_TERMINAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of log lines that may wait to be written.
pub const LOG_BYTES_MAX: usize = MIB;
/// How long log lines gather before they are written together.
pub const LOG_INTERVAL: Duration = Duration::from_millis(20);

/// Usage records that may wait for the writer.
pub const USAGE_QUEUE_MAX: usize = 10_000;
/// Records in a block: measured at 1.2 µs and 58 B a record, while a value stays below 16 KiB.
pub const USAGE_BLOCK_RECORDS_MAX: usize = 250;
/// Records that are stored under one sync, which costs as much as a hundred of them: a few blocks. Fewer wait for
/// [`USAGE_BLOCK_INTERVAL`].
pub const USAGE_BATCH_RECORDS_MAX: usize = 4 * USAGE_BLOCK_RECORDS_MAX;
/// The longest time between two blocks while records wait.
pub const USAGE_BLOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Bytes of one value in the store: sled puts larger ones into files of their own, at ten times the cost.
pub const STORE_VALUE_BYTES_MAX: usize = 16 * KIB;
/// Bytes that decoding one record may allocate.
pub const STORE_RECORD_BYTES_MAX: u64 = 4 * MIB as u64;
/// Bytes of one record of the state: a secret, settings and what the dashboard keeps, all at their largest.
pub const STATE_RECORD_BYTES_MAX: usize = 128 * KIB;
/// Bytes of changes in the log after which a new snapshot takes its place.
pub const CHANGES_BYTES_MAX: u64 = MIB as u64;
/// Bytes of records that make a frame of the log full.
pub const CHANGES_FRAME_BYTES: usize = 64 * KIB;
/// Bytes of a frame: one that was nearly full, and a record at its largest.
pub const CHANGES_FRAME_BYTES_MAX: usize = 512 * KIB;
/// Bytes of changes that are committed together: what comes beyond waits for the next commit.
pub const COMMIT_BYTES_MAX: usize = MIB;
/// Credentials that are sealed anew in one change.
pub const RESEAL_AT_ONCE: usize = 256;
/// Damaged states that are kept set aside: the newest tell what happened.
pub const STATES_SET_ASIDE_MAX: usize = 3;
/// Bytes of the database's cache for the state.
pub const STATE_CACHE_BYTES: u64 = 16 * MIB as u64;
/// Bytes of the database's cache for each open segment of usage.
pub const USAGE_CACHE_BYTES: u64 = 8 * MIB as u64;
/// Bytes of the database's cache for what changes all day long: it is read at the start, and then only written.
pub const VOLATILE_CACHE_BYTES: u64 = MIB as u64;
/// The time that opening a database may take: a damaged one may hang, and a segment at its bound takes a tenth of this
/// from a slow disk.
pub const STORE_OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Notices about the store that are kept for operators: each names a directory, and the newest matter.
pub const STORE_NOTICES_MAX: usize = 100;
/// Bytes that must be free on the disk before a commit: the database grows by 512 KiB at a time, in a few places.
pub const DISK_FREE_BYTES_MIN: u64 = 2 * MIB as u64;
/// Bytes that should be free: a day of much usage, and a backup.
pub const DISK_FREE_BYTES_WANTED: u64 = 512 * MIB as u64;
/// Bytes that the reserve file holds back, so that the store opens on a full disk.
pub const DISK_RESERVE_BYTES: u64 = 4 * MIB as u64;
/// Bytes of values in one segment of usage, about a million records: it is read whole when it opens.
pub const USAGE_SEGMENT_BYTES_MAX: u64 = 64 * MIB as u64;
/// Blocks in one segment of usage: what is known of each is in memory while the segment is open, some 100 bytes.
pub const USAGE_SEGMENT_BLOCKS_MAX: usize = 100_000;
/// Blocks that are changed as one when records are: a second's work of the disk at most.
pub const USAGE_REWRITE_BLOCKS: usize = 64;
/// Blocks that one page of records may search through before it is handed out as it is.
pub const USAGE_PAGE_BLOCKS_MAX: usize = 4_000;
/// The pause between two tries to write while the disk is full.
pub const USAGE_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Models of one provider that are listed in TOML.
pub const MODELS_PER_PROVIDER_MAX: usize = 10_000;
/// Models of one provider's own list that are kept: the longest lists hold some hundreds.
pub const MODEL_LIST_IDS_MAX: usize = 4_000;
/// Bytes of the ids of one such list, so that it fits a record.
pub const MODEL_LIST_BYTES_MAX: usize = 64 * KIB;
/// How often a provider's list of models is fetched.
pub const MODEL_LIST_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// How much later a host may fetch it: hosts that started together shall not ask together.
pub const MODEL_LIST_JITTER_MAX: Duration = Duration::from_secs(60 * 60);
/// The pause after a list could not be fetched; it doubles, up to the interval.
pub const MODEL_LIST_RETRY_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause before it is looked whether a list is due: the wall clock may have been set.
pub const MODEL_LIST_LOOK_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Connections in all.
pub const CONNECTIONS_MAX: usize = 100_000;
/// Users whose groups are remembered.
pub const IDENTITY_CACHE_MAX: usize = 10_000;
/// How long the name service's answer about a user is believed.
pub const IDENTITY_CACHE_TTL: Duration = Duration::from_secs(10);

/// How long records wait to be taken into the rollups on the disk: what is not yet there is counted anew at a start.
pub const ROLLUP_INTERVAL: Duration = Duration::from_secs(60);
/// Records that wait for it at most: a start counts so many in a fraction of a second.
pub const ROLLUP_RECORDS_MAX: usize = 100_000;
/// How long after its end an hour's sums are written down: calls that began in it may end until then.
pub const ROLLUP_HOUR_SLACK: Duration = Duration::from_secs(5 * 60);
/// How long after its end a day's rollups are complete: a request that began in it has ended by then.
pub const ROLLUP_DAY_SLACK: Duration = Duration::from_secs(2 * 60 * 60);
/// Days that are counted at a time: today, the day before, and one that a clock was set to.
pub const ROLLUP_DAYS_MAX: usize = 3;
/// Bytes of packed sums in one section of a frame.
pub const ROLLUP_SECTION_BYTES: usize = 256 * KIB;
/// Features that an app's usage of a day is told apart by, and models; further ones count as `other`.
pub const ROLLUP_LABELS_PER_APP_MAX: usize = 200;
/// Combinations of an app's labels that its usage of a day is told apart by: in further ones feature and model count as
/// `other`.
pub const ROLLUP_SETS_PER_APP_MAX: usize = 4_000;
/// How often old usage is looked for.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Rows of one usage reply. While it is made a row holds two histograms of at most 1,363 counts until its time is past, so
/// 110 MB in all at the very most, however long the time and however many the records.
pub const USAGE_ROWS_MAX: usize = 10_000;
/// Names of one label in the metrics; those that come later count as `other`.
pub const METRIC_NAMES_MAX: usize = 200;
/// Sets of labels of one family in the metrics; those that come later count as `other`.
pub const METRIC_SERIES_MAX: usize = 1_000;
/// Connections that have metrics of their own.
pub const METRIC_CONNECTIONS_MAX: usize = 200;
/// Limits that have metrics of their own.
pub const METRIC_LIMITS_MAX: usize = 1_000;
/// Budgets that have metrics of their own.
pub const METRIC_BUDGETS_MAX: usize = 200;
/// Files of the store whose sizes are summed up for the metrics: those of ten years of segments.
pub const METRIC_FILES_MAX: usize = 100_000;
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
    assert!(REQUEST_BODY_BYTES_MAX <= REQUEST_BODIES_BYTES_MAX, "any one body must have room");
    assert!(ERROR_BODY_BYTES_MAX <= REPLY_BODY_BYTES_MAX, "an error is a reply");
    assert!(CLIENTS_PER_USER_MAX < CLIENTS_MAX, "one user must leave room for others");
    assert!(ADMIN_CLIENTS_PER_USER_MAX < ADMIN_CLIENTS_MAX, "one operator must leave room for others");
    assert!(CONFIG_SETTLE_INTERVAL.as_millis() < CONFIG_POLL_INTERVAL.as_millis(), "a poll must find a settled file");
    assert!(STATE_RECORD_BYTES_MAX as u64 <= STORE_RECORD_BYTES_MAX, "what is written must be read");
    assert!(SECRET_BYTES_MAX + NOTES_BYTES_MAX < STATE_RECORD_BYTES_MAX, "a connection holds its secret and its notes");
    assert!(CHANGES_FRAME_BYTES + STATE_RECORD_BYTES_MAX < CHANGES_FRAME_BYTES_MAX / 2, "a frame holds its records");
    assert!(MODEL_LIST_BYTES_MAX + MODEL_LIST_IDS_MAX * 8 < STATE_RECORD_BYTES_MAX, "each id comes with its length");
    assert!(METRIC_NAMES_MAX < METRIC_SERIES_MAX, "each name of one label has room beside another's");
    assert!(USAGE_BATCH_RECORDS_MAX < USAGE_QUEUE_MAX / 2, "a batch must fit the queue, and room must be left");
};
