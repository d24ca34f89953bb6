//! What user interfaces keep with providers and connections: `bursar providers preferences` and `bursar connections
//! metadata`.

use std::io::Read;

use clap::Args;

use super::client::Client;
use super::exit::{Exit, Failed, Outcome};
use super::output::Output;
use crate::api::admin::Object;
use crate::bounds;

/// What to do with the object; nothing shows it.
#[derive(Debug, Args)]
pub(super) struct Notes {
    /// Put this JSON object in place of what is kept; - reads it from standard input
    #[arg(long, value_name = "JSON", conflicts_with = "merge")]
    replace: Option<String>,
    /// Change what is kept by this merge patch (RFC 7396): null takes a member away; - reads it from standard input
    #[arg(long, value_name = "JSON")]
    merge: Option<String>,
}

impl Notes {
    /// Shows or changes the object at this path.
    pub(super) async fn run(self, client: &Client, out: &Output, path: &str) -> Outcome {
        let kept: Object = match (self.replace, self.merge) {
            (Some(text), _) => client.put(path, &object(&text)?).await?,
            (None, Some(text)) => client.patch(path, &object(&text)?).await?,
            (None, None) => client.get(path).await?,
        };
        // It is JSON, whatever the form of other answers.
        out.as_json().done(&kept, "");
        Ok(Exit::Ok)
    }
}

fn object(text: &str) -> Result<Object, Failed> {
    let mut read = String::new();
    let text = if text == "-" {
        let most = u64::try_from(bounds::NOTES_BYTES_MAX * 2).unwrap_or(u64::MAX);
        let done = std::io::stdin().lock().take(most).read_to_string(&mut read);
        done.map_err(|error| Failed::data(format!("standard input cannot be read: {error}")))?;
        read.as_str()
    } else {
        text
    };
    serde_json::from_str(text).map_err(|error| Failed::data(format!("this is not a JSON object: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_taken() {
        assert_eq!(object("{\"a\": null}").unwrap().len(), 1);
        for bad in ["[1]", "3", "{", "{} x"] {
            assert_eq!(object(bad).unwrap_err().exit, Exit::Data, "{bad}");
        }
    }
}
