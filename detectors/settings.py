"""The engine's limits and rates.  Times in seconds, voltages per unit of nominal, rates as
probabilities.

Sources are the clauses in docs/detection.md.
"""

import msgspec


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the engine can be told.  A change is a command in the recorded stream."""

    nominal_v: float = 220.0
    off_pu: float = 0.6  # off when all phases are below (Chinese terminals, C82_DL689)
    on_pu: float = 0.8  # on when any phase is at or above
    heartbeat_s: float = 900.0  # a meter's reporting period until its own is learned
    heartbeat_slack_s: float = 30.0  # delivery delay that a due heartbeat is granted
    telemetry_stale_s: float = 180.0  # a breaker's word on its position ages out
    momentary_scada_s: float = 60.0  # open and closed again within (ArcFM Responder)
    momentary_s: float = 300.0  # restored within (IEEE 1366-2012, 3.14)
    close_after_s: float = 300.0  # a restored outage closes
    plan_tolerance_s: float = 900.0  # a plan may begin early and end late by this
    undo_s: float = 300.0  # a decision can be taken back for so long, and until people were told
    delivery: float = 0.5  # a dead meter's last gasp arrives, until learned
    false_gasp: float = 1e-4  # a live meter gasps
    fault_a: float = 500.0  # a closed device that reports more has seen a fault below it
    false_terminal: float = 1e-5
    power_up_lost: float = 0.1  # a restored meter's power-up does not arrive
    late_beat: float = 2e-3  # a live meter's heartbeat comes later than the slack (a way of 3 s in
    # the median, log-normal with sigma 0.8)
    missed_beat: float = 1e-4  # and later than twice the slack
    comms_loss: float = 0.1  # a concentrator with customers in the dark goes mute
    comms_loss_quiet: float = 0.01  # one without does
    low_pu: float = 0.9  # of the nominal voltage (GB/T 12325: 220 V -10 %)
    transformer_a: float = 577.0  # what a transformer may carry on a phase (400 kVA at 400 V)
    imbalance: float = 0.25  # of the largest phase current, between it and the smallest
    imbalance_a: float = 100.0  # less current may be as uneven as it is
    weak_s: float = 900.0  # so long beyond a limit makes a finding
    flaps: float = 4.0  # so many gasps of one meter
    flap_s: float = 3600.0  # within so long, and it is muted until it was calm for as long
    moments: float = 3.0  # so many momentary interruptions of a device
    moments_s: float = 604_800.0  # within so long are a weak point
    unheard_s: float = 86_400.0  # after so long it is told which meters never spoke
    storm_outages: float = 5.0  # confirmed at once in a group are a storm
    storm_calm_s: float = 900.0  # no more than half of them for so long end it
    pings_per_minute: float = 120.0  # meters of a group that are asked, at most; 0: none
    ping_wait_s: float = 8.0  # an answer that has not come by then is late
    ping_lost: float = 0.05  # a live meter does not answer
    prior_calm: float = 0.1  # of the priors below, while no sure fault makes others likely
    prior_breaker: float = 1e-3
    prior_switch: float = 1e-3
    prior_recloser: float = 1e-3
    prior_fuse: float = 2e-3
    prior_transformer: float = 2e-3
    prior_meter: float = 1e-5
    prior_left: float = 0.02  # what hangs below stays dark when the power above comes back
    prior_left_meter: float = 1e-3
