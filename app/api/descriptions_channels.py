"""The descriptions of runs, connections, mappings, events and discrepancies."""

from __future__ import annotations

from app.api import answers_channels as c
from app.api import answers_system as w
from app.api import (
    channel_mappings,
    discrepancies,
    events,
    reconciliation,
)
from app.api.operations import (
    Operation,
    choice,
    choices,
    flag,
    gone,
    key,
    moment,
    one,
    order_by,
    page,
    sent,
    word,
)
from app.domain.states import EventStatus, RunStatus
from app.models.channels import MAPPING_TYPES
from app.models.reconciliation import DISCREPANCY_KINDS, RUN_KINDS
from app.services import (
    discrepancy_lists,
    event_filters,
)
from app.services.channel_mappings import ChannelMappingChanges, NewChannelMapping
from app.services.channel_properties import ChannelPropertyChanges, NewChannelProperty

Q = word("q")
MOMENTS = (moment("from"), moment("to"))

CHANNELS: dict[str, Operation] = {
    "reconciliation.status": Operation(
        c.RunStatusAnswer, query=(choice("kind", RUN_KINDS), key("property_id"))
    ),
    "reconciliation.index": page(
        "runs",
        c.Run,
        Q,
        choice("kind", RUN_KINDS),
        choice("status", tuple(RunStatus)),
        key("property_id"),
        *order_by("started_at", "completed_at", "duration"),
    ),
    "reconciliation.show": one(c.RunWithPlan),
    "reconciliation.create": sent(reconciliation.NewRun, c.StartedRuns, 202),
    "reconciliation.apply": sent(reconciliation.Application, c.StartedRun, 202),
    "channel_properties.index": page(
        "channel_properties",
        c.ChannelProperty,
        Q,
        *order_by("created_at", "channel_name"),
        words="A page of the connections of properties to channels.",
    ),
    "channel_properties.create": sent(
        NewChannelProperty, c.ChannelProperty, 201, "Connect a property to a channel."
    ),
    "channel_properties.show": one(c.ChannelProperty, "One connection."),
    "channel_properties.change": sent(
        ChannelPropertyChanges, c.ChannelProperty, words="Change a connection."
    ),
    "channel_mappings.index": page(
        "channel_mappings",
        c.ChannelMapping,
        Q,
        key("channel_property_id"),
        choice("mapping_type", MAPPING_TYPES),
        flag("is_active"),
        *order_by("created_at", "updated_at", "external_id", "mapping_type"),
        words="A page of the channel's ids for our rooms, room types and rates.",
    ),
    "channel_mappings.create": sent(NewChannelMapping, c.NewChannelMapping, 201),
    "channel_mappings.test": sent(channel_mappings.Trial, c.MappingTrial),
    "channel_mappings.show": one(c.ChannelMapping, "One mapping."),
    "channel_mappings.change": sent(ChannelMappingChanges, c.NewChannelMapping),
    "channel_mappings.delete": gone("Take a mapping away; it stays on record as inactive."),
    "channel_status.show": one(c.ChannelStatus),
    "events.index": page(
        "events",
        c.Event,
        Q,
        choices("status", tuple(EventStatus)),
        key("property_id"),
        word("type"),
        choice("direction", event_filters.DIRECTIONS),
        *MOMENTS,
        word("cause"),
        *order_by(*event_filters.SORTS),
    ),
    "events.show": one(c.EventWithAttempts),
    "events.retry": one(c.Event),
    "events.ignore": sent(events.Reason, c.Event),
    "events.replay": one(c.Event),
    "events.batch_retry": sent(events.Batch, c.RetriedEvents),
    "discrepancies.index": page(
        "discrepancies",
        c.Discrepancy,
        Q,
        choices("status", discrepancy_lists.STATUSES),
        choices("kind", DISCREPANCY_KINDS),
        choices("severity", discrepancy_lists.SEVERITIES),
        key("property_id"),
        key("room_type_id"),
        key("reservation_id"),
        key("run_id"),
        word("external_id"),
        *order_by(*discrepancy_lists.SORTS),
    ),
    "discrepancies.show": one(c.Discrepancy, "One discrepancy."),
    "discrepancies.resolve": sent(discrepancies.Verdict, c.Discrepancy),
    "discrepancies.resolve_many": sent(discrepancies.Verdicts, c.DecidedDiscrepancies),
    "metric_summaries.summary": one(w.MetricSummary),
}
