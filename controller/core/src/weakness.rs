//! Deliberate weaknesses for the tests of the tests. [`weak`] is always false, unless the feature `mutants` is built in
//! and `switch_on` has chosen one. `make mutants` switches each on in turn, and a test must fail.
//!
//! The simulator implements the weaknesses of adapters and task in its own models of them. They are listed here with
//! those of the core, so that one table names all.

/// Declares the enum, `ALL`, and `what`, whose text is each variant's documentation.
macro_rules! weaknesses {
    ($(#[doc = $what:literal] $name:ident,)*) => {
        /// A weakness, named by what the weakened code omits or does wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Weakness {
            $(#[doc = $what] $name,)*
        }

        impl Weakness {
            /// Every weakness.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The effect of the weakness, as a phrase that follows a subject: "deletes before publishing".
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => $what.trim_ascii(),)*
                }
            }
        }
    };
}

weaknesses! {
    /// spins near the 12 h cap
    SpinsNearTheCap,
    /// deletes what it does not understand
    DeletesTheUnreadable,
    /// deletes before publishing
    DeletesBeforePublishing,
    /// deletes before the index has the end
    DeletesBeforeIndexing,
    /// takes the specification that it asked for as the one that exists
    TakesAskedForAccepted,
    /// deletes before the bus or the outbox has the event
    DeletesBeforeAnnouncing,
    /// announces the end of a job before its record
    AnnouncesBeforeRecord,
    /// forgets an event that the bus does not take
    ForgetsEventsThatFail,
    /// waits for the bus for ever
    NeverPutsEventsAside,
    /// never sends what lies in the outbox
    NeverEmptiesOutbox,
    /// removes from the outbox what the bus has not taken
    EmptiesOutboxUnsent,
    /// deletes once a task is launched
    DeletesOnceLaunched,
    /// deletes the dead without a letter
    DeletesDeadWithoutLetter,
    /// does not read the terminal record again before judging
    JudgesWithoutRereading,
    /// judges a lost task without StopTask
    JudgesLostWithoutStopTask,
    /// takes MISSING for an end
    TakesMissingForEnd,
    /// launches past the deadline
    LaunchesPastDeadline,
    /// leaves no margin for clocks that differ
    LeavesNoClockMargin,
    /// takes StopTask's answer for an end
    TakesStopAnswerForEnd,
    /// takes an unreadable bucket for silence
    TakesUnreadableForSilence,
    /// judges a start by an old view
    JudgesStartByOldView,
    /// takes a short pause between heartbeats for an end
    TakesPauseForEnd,
    /// takes a beacon that stands still for a sign of life
    TakesStandingBeaconForLife,
    /// tries again what no retry can mend
    RetriesTheHopeless,
    /// forgets earlier attempts
    ForgetsEarlierAttempts,
    /// does not wait between attempts
    DoesNotWaitBetweenAttempts,
    /// claims without a free slot
    ClaimsWithoutFreeSlot,
    /// launches beyond its rate
    LaunchesBeyondRate,
    /// leaves the last task out of the terminal record
    LeavesTaskOutOfRecord,
    /// leaves the attempts out of the terminal record
    LeavesAttemptsOutOfRecord,
    /// launches claims that are late at once
    LaunchesLateClaimsAtOnce,
    /// never spends the job's budget
    NeverSpendsBudget,
    /// never backs off
    NeverBacksOff,
    /// charges the platform's failures to the job
    ChargesPlatformFailures,
    /// does not count a claim under way
    DoesNotCountPendingClaim,
    /// lets an empty queue starve the others
    LetsEmptyQueueStarveOthers,
    /// leaves the tasks of decided jobs alone
    LeavesTasksOfDecidedJobs,
    /// stops tasks without a message here
    StopsTasksWithoutMessage,
    /// believes an event
    BelievesEvents,
    /// dates a reading by its answer
    DatesReadingByAnswer,
    /// takes any refusal for a definitive one
    TakesAnyRefusalForDefinitive,
    /// repeats failed job calls at once
    RepeatsJobCallsAtOnce,
    /// repeats failed message calls at once
    RepeatsMessageCallsAtOnce,
    /// repeats a refused call as often as one that failed in passing
    RepeatsRefusedCalls,
    /// forgets that a step is refused once an earlier one works
    ForgetsRefusalAfterReading,
    /// lets a message lapse while its letter is refused
    LetsLeaseLapseWhileRefused,
    /// does not say at which step of settling a job is
    HidesStepsOfSettling,
    /// does not try again what was refused once the same works for another job
    WaitsOnThoughMended,
    /// forgets that a document is of a newer version
    ForgetsNewerDocument,
    /// claims and gives up by an old reading
    DecidesByOldReading,
    /// holds messages of jobs that it leaves alone
    HoldsMessagesOfJobsLeftAlone,
    /// empties the winner's folder too
    EmptiesWinnersFolder,
    /// deletes before it has collected
    DeletesBeforeCollecting,
    /// random client token
    RandomClientToken,
    /// sends RunTask past its deadline
    SendsRunTaskLate,
    /// the task overwrites the terminal record
    TaskOverwritesRecord,
    /// the controller overwrites the terminal record
    ControllerOverwritesRecord,
    /// the task makes no start checks
    TaskSkipsStartChecks,
    /// the task ignores the launch deadline
    TaskIgnoresLaunchDeadline,
    /// the task works on when cut off
    TaskWorksOnWhenCutOff,
    /// the task writes the terminal record too early
    TaskWritesRecordEarly,
    /// publishes the newest attempt
    PublishesNewestAttempt,
    /// stays on Spot however often that is taken back
    StaysOnSpotAfterInterruptions,
    /// asks Spot again at once for the next job
    AsksSpotAgainAtOnce,
    /// stays on Spot however long a job has waited
    StaysOnSpotWhenOld,
    /// counts tasks and no vCPU
    CountsNoVcpu,
    /// lets a task live that gets nowhere
    LetsStalledTaskLive,
    /// launches without another look for an earlier attempt
    LaunchesWithoutSecondLook,
    /// reads beyond its rate
    ReadsBeyondRate,
    /// stops beyond its rate
    StopsBeyondRate,
    /// forgets when a row is due
    ForgetsWhenDue,
    /// does not look at a job whose task changed
    SkipsJobOfChangedTask,
    /// forgets a job's age with its message
    ForgetsAgeWithMessage,
    /// the breaker never opens
    BreakerNeverOpens,
    /// the breaker does not wait between probes
    BreakerProbesAtOnce,
    /// does not slow down when it is throttled
    IgnoresThrottling,
    /// forgets the calls that it plans in the same turn
    ForgetsCallsOfSameTurn,
    /// waits for ever for a task to come up
    WaitsForeverForStart,
    /// lets a task be that gives no sign of life
    LetsSilentTaskLive,
    /// lets a task run longer than it may
    LetsTaskRunTooLong,
    /// stops a task for what it read long before
    StopsByOldReading,
    /// empties the folder of a loser at work
    EmptiesFolderOfWorkingLoser,
    /// launches on right after a refusal
    LaunchesOnAfterRefusal,
    /// claims more than it can launch in time
    ClaimsMoreThanItLaunches,
    /// counts a bad file for the breaker
    CountsBadFiles,
    /// holds every copy of a message
    HoldsEveryCopy,
    /// tells that a job is settled with each of its messages
    TellsSettledWithEachMessage,
    /// tells nobody that a lease is lost
    TellsNobodyOfLostLease,
    /// tells nobody that a job is settled
    TellsNobodyOfSettledJob,
    /// publishes without comparing with what is live
    ComparesNothingBeforePublishing,
    /// stops the tasks of any other upload once one is live
    StopsWhatIsNotOlder,
    /// pads sequencers on the left
    PadsSequencersOnTheLeft,
    /// reads the pointer before it looks at the stable names
    ReadsPointerBeforeLooking,
    /// writes stable names without a condition
    WritesStableNamesBlindly,
    /// moves the pointer without a condition
    MovesPointerBlindly,
    /// charges tenants nothing
    ChargesTenantsNothing,
    /// gives a tenant more than it may have
    IgnoresTenantLimits,
    /// serves tenants first come first served
    ServesTenantsAsTheyCome,
    /// receives no more than it can launch, whoever's it is
    NeverLooksAhead,
    /// gives a lower class nothing while a higher one waits
    StarvesLowerClass,
    /// puts back what came last, whoever's it is
    PutsBackWhateverCameLast,
    /// puts messages back for the same time, however often
    PutsBackForTheSameTime,
    /// lets jobs run that somebody has cancelled
    IgnoresCancels,
    /// tries a job again whose task was stopped to cancel it
    RetriesCancelledTask,
    /// cancels uploads that came after the cancel of their prefix
    CancelsLaterUploadsToo,
    /// launches while somebody has paused
    LaunchesWhilePaused,
    /// launches before it knows whether somebody has paused
    LaunchesUnsteered,
    /// holds messages although somebody has drained
    HoldsMessagesWhileDrained,
}

/// Whether a weakness is switched on.
#[cfg(not(feature = "mutants"))]
#[inline]
pub const fn weak(_weakness: Weakness) -> bool {
    false
}

#[cfg(feature = "mutants")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Weakness;

    /// No weakness is switched on.
    const NONE: u8 = u8::MAX;

    static ON: AtomicU8 = AtomicU8::new(NONE);

    /// Switches one weakness on, for the whole process, and the others off.
    pub fn switch_on(weakness: Weakness) {
        ON.store(weakness as u8, Ordering::Relaxed);
    }

    /// Whether a weakness is switched on.
    pub fn weak(weakness: Weakness) -> bool {
        ON.load(Ordering::Relaxed) == weakness as u8
    }
}

#[cfg(feature = "mutants")]
pub use switch::{switch_on, weak};
