//! The one function from errors to gRPC statuses.
//!
//! KEDA treats all of them alike (the HPA holds, `fallback` counts), so the code is for people and
//! other clients; the message is what an operator reads in KEDA's log.

use tonic::{Code, Status};

use crate::engine::EngineError;
use crate::observe::AttachError;

/// The status that tells `error`.
pub fn from_engine(error: &EngineError) -> Status {
    let code = match error {
        EngineError::InvalidMetadata { .. } => Code::InvalidArgument,
        EngineError::Attach(AttachError::Forbidden { .. }) => Code::PermissionDenied,
        EngineError::TooManyWorkloads { .. } => Code::ResourceExhausted,
        EngineError::Attach(AttachError::Unusable(_))
        | EngineError::NotYet { .. }
        | EngineError::Stalled { .. }
        | EngineError::Ended => Code::Unavailable,
        EngineError::Decision(error) => named(&error.code),
    };
    Status::new(code, error.to_string())
}

/// The request carries no `scaledObjectRef`.
pub fn missing_reference() -> Status {
    Status::invalid_argument("scaledObjectRef is missing: the request must say which ScaledObject it is for")
}

/// A status name as decision records carry it. Unknown ones mean that no number can be had now.
fn named(code: &str) -> Code {
    match code {
        "INVALID_ARGUMENT" => Code::InvalidArgument,
        "FAILED_PRECONDITION" => Code::FailedPrecondition,
        "INTERNAL" => Code::Internal,
        _ => Code::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::DecisionError;

    #[test]
    fn every_error_has_its_code_and_keeps_its_words() {
        let decision = |code: &str| {
            EngineError::Decision(DecisionError {
                code: code.to_owned(),
                reason: "the queue is stale".to_owned(),
            })
        };
        let forbidden = AttachError::Forbidden {
            key: "awsEndpoint",
            value: "http://evil".to_owned(),
            namespace: "shop".to_owned(),
            flag: "--allow-endpoint",
        };
        let table = [
            (
                EngineError::InvalidMetadata {
                    problems: vec!["a is wrong".to_owned(), "b is missing".to_owned()],
                },
                Code::InvalidArgument,
                "a is wrong; b is missing",
            ),
            (EngineError::Attach(forbidden), Code::PermissionDenied, "--allow-endpoint"),
            (
                EngineError::Attach(AttachError::Unusable("no region".to_owned())),
                Code::Unavailable,
                "no region",
            ),
            (EngineError::TooManyWorkloads { maximum: 7 }, Code::ResourceExhausted, "7 workloads"),
            (EngineError::NotYet { waited_seconds: 2.0 }, Code::Unavailable, "2 s after"),
            (decision("UNAVAILABLE"), Code::Unavailable, "the queue is stale"),
            (decision("INTERNAL"), Code::Internal, "the queue is stale"),
            (decision("INVALID_ARGUMENT"), Code::InvalidArgument, "the queue is stale"),
            (decision("FAILED_PRECONDITION"), Code::FailedPrecondition, "the queue is stale"),
            (decision("SOMETHING"), Code::Unavailable, "the queue is stale"),
            (
                EngineError::Stalled { age_seconds: 200.0, stale_after_seconds: 180.0 },
                Code::Unavailable,
                "200 s old; staleAfter is 180 s",
            ),
            (EngineError::Ended, Code::Unavailable, "ask again"),
        ];
        for (error, code, words) in table {
            let status = from_engine(&error);
            assert_eq!(status.code(), code, "{error:?}");
            assert!(status.message().contains(words), "{:?} lacks {words:?}", status.message());
        }
        assert_eq!(missing_reference().code(), Code::InvalidArgument);
    }
}
