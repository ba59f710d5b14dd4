//! The fate of a request on the wire.

use transcode_core::{
    protocol::{action::Action, clock::Ms, fact::ErrorClass, via::Via},
    state::failing::Purpose,
};

use super::World;
use crate::{
    fault::Fault,
    setup::{Episode, HOUR, MINUTE, SECOND},
};

/// The fate of a request.
pub(super) enum Fate {
    Ordinary,
    Refused(ErrorClass),
    NeverArrives,
    AnswerLost,
    Late(Ms),
}

impl World {
    pub(super) fn fate(&mut self, action: &Action) -> Fate {
        if !self.faults.on {
            return Fate::Ordinary;
        }
        if self.during(Episode::BrownOut) {
            return Fate::NeverArrives;
        }
        if self.during(Episode::Credentials) {
            return Fate::Refused(ErrorClass::Misconfigured);
        }
        if self.during(Episode::WritesDenied) && Purpose::of(action).is_some_and(|it| it > Purpose::Read) {
            return Fate::Refused(ErrorClass::Misconfigured);
        }
        if self.fault(Fault::BlackHole) {
            return Fate::NeverArrives;
        }
        match action {
            Action::Announce { via: Via::Bus(_), .. } | Action::Resend { .. } => self.fate_at_bus(),
            Action::Announce { via: Via::Outbox, .. }
            | Action::Inspect { .. }
            | Action::Survey
            | Action::ReadSpec { .. }
            | Action::Claim { .. }
            | Action::GiveUp { .. }
            | Action::Publish { .. }
            | Action::Index { .. }
            | Action::Collect { .. } => self.fate_in_s3(action),
            Action::Launch { .. } if self.fault(Fault::LaunchAnswerLost) => Fate::AnswerLost,
            Action::Launch { .. } if self.fault(Fault::LaunchDelayed) => {
                Fate::Late(self.rng.spread(MINUTE, 26 * HOUR))
            }
            Action::Launch { .. } => Fate::Ordinary,
            Action::Stop { .. } if self.fault(Fault::StopLost) => Fate::NeverArrives,
            Action::Describe { .. } | Action::Resync | Action::Resolve | Action::Stop { .. } => {
                if self.fault(Fault::EcsError) {
                    Fate::Refused(ErrorClass::Throttled)
                } else {
                    Fate::Ordinary
                }
            }
            _ => self.fate_in_sqs(action),
        }
    }

    fn fate_in_s3(&mut self, action: &Action) -> Fate {
        if self.during(Episode::StateDenied) {
            return Fate::Refused(ErrorClass::Misconfigured);
        }
        if self.fault(Fault::S3Error) {
            return Fate::Refused(ErrorClass::Transient);
        }
        if matches!(action, Action::Inspect { .. } | Action::Survey | Action::ReadSpec { .. }) {
            return Fate::Ordinary;
        }
        if self.fault(Fault::WriteConflict) {
            Fate::Refused(ErrorClass::Transient)
        } else if self.fault(Fault::WriteAnswerLost) {
            Fate::AnswerLost
        } else if self.fault(Fault::WriteDelayed) {
            Fate::Late(self.rng.spread(SECOND, HOUR))
        } else {
            Fate::Ordinary
        }
    }

    fn fate_at_bus(&mut self) -> Fate {
        if self.during(Episode::BusAway) {
            return match self.rng.below(3) {
                0 => Fate::NeverArrives,
                1 => Fate::Refused(ErrorClass::Misconfigured),
                // An answer that refuses each entry.
                _ => Fate::Ordinary,
            };
        }
        if self.fault(Fault::EventAnswerLost) { Fate::AnswerLost } else { Fate::Ordinary }
    }

    fn fate_in_sqs(&mut self, action: &Action) -> Fate {
        if self.fault(Fault::SqsError) {
            let class = if self.rng.chance(0.5) { ErrorClass::Throttled } else { ErrorClass::Uncertain };
            return Fate::Refused(class);
        }
        match action {
            Action::Receive { .. } if self.fault(Fault::ReceiveLost) => Fate::AnswerLost,
            Action::DeadLetter(_) if self.fault(Fault::LetterLost) => Fate::AnswerLost,
            Action::Extend { .. } if self.fault(Fault::ExtendFails) => Fate::NeverArrives,
            Action::Delete { .. } if self.fault(Fault::DeleteFails) => Fate::Refused(ErrorClass::Transient),
            Action::Delete { .. } if self.fault(Fault::DeleteLost) => {
                if self.rng.chance(0.5) {
                    Fate::AnswerLost
                } else {
                    Fate::Late(self.rng.spread(SECOND, HOUR))
                }
            }
            _ => Fate::Ordinary,
        }
    }
}
