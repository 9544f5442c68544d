//! What a close is told about the connection's end: whether it is whole, and how a cut is shown to the peer.

use linger_proto::{Cut, CutShownBy, Outcome};

use crate::classify::Ending;

/// What a connection's end means, when its service lets go of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The service has half-closed, or asked for it: the peer already sees, or will see, that end.
    Told,
    /// Nothing is unanswered.
    Whole,
    /// Something is unanswered, or only half sent.
    Busy,
    /// Nobody can tell. It is not called clean.
    Unknown(Cut),
    /// It was decided that it ends unclean: by a panic, a handler, a deadline.
    Cut(Cut),
}

/// How the end looks to those who saw the connection, before its service's result is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    pub(crate) ends: Ends,
    pub(crate) shown_by: CutShownBy,
}

impl Verdict {
    /// Of a connection that nobody served.
    pub(crate) const WHOLE: Self = Self { ends: Ends::Whole, shown_by: CutShownBy::LateReset };

    pub(crate) const fn aborted(shown_by: CutShownBy) -> Cut {
        Cut { shown_by, outcome: Some(Outcome::Aborted) }
    }

    /// How to end it where the service's result is not known. What nobody can tell is not called clean.
    pub(crate) fn cut(self) -> Option<Cut> {
        match self.ends {
            Ends::Told | Ends::Whole => None,
            Ends::Busy => Some(Self::aborted(self.shown_by)),
            Ends::Unknown(cut) | Ends::Cut(cut) => Some(cut),
        }
    }

    /// How to end it by the service's result. A reset always counts. Any other result counts only if the
    /// connection was seen idle, or if nobody can tell. An unanswered request, an earlier decision and a
    /// half-close take precedence over it.
    pub(crate) fn cut_by(self, ending: Ending) -> Option<Cut> {
        let by_result = match ending {
            Ending::Reset => return Some(Self::aborted(CutShownBy::Reset)),
            Ending::AsSeen => return self.cut(),
            Ending::Graceful | Ending::GracefulBy(_) => None,
            Ending::Abort => Some(Self::aborted(self.shown_by)),
        };
        match self.ends {
            Ends::Whole | Ends::Unknown(_) => by_result,
            Ends::Told | Ends::Busy | Ends::Cut(_) => self.cut(),
        }
    }
}
