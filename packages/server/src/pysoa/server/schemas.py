"""The schemas of job requests, for documentation and for services that want to check one themselves.

The server checks the headers by plain code with the same outcome, since it does so for every request.
"""

from __future__ import annotations

from conformity.fields import Dictionary

from pysoa.server._fields import fields

__all__ = (
    "ActionRequestSchema",
    "ContextHeaderSchema",
    "ControlHeaderSchema",
    "JobRequestSchema",
)

ActionRequestSchema: Dictionary = fields.Dictionary(
    {
        "action": fields.UnicodeString(description="The name of the service action to execute."),
        "body": fields.SchemalessDictionary(
            key_type=fields.UnicodeString(), description="The request parameters for this action."
        ),
    },
    optional_keys=("body",),
)
"""What one entry of ``actions`` must look like."""

ControlHeaderSchema: Dictionary = fields.Dictionary(
    {
        "continue_on_error": fields.Boolean(
            description="Whether to continue executing more actions in a multi-action job request if an "
            "action results in an error."
        ),
        "suppress_response": fields.Boolean(
            description="Whether to complete processing a request without sending a response back to the "
            "client (defaults to false)."
        ),
    },
    optional_keys=("suppress_response",),
    allow_extra_keys=True,
)
"""What the control header must look like."""

ContextHeaderSchema: Dictionary = fields.Dictionary(
    {
        "caller": fields.UnicodeString(
            description="Optional, caller-supplied meta-information about the caller, such as an application "
            "name, file name, class or method name, file name and line number, etc. May be useful for "
            "logging or metrics."
        ),
        "calling_service": fields.UnicodeString(
            description="A header that PySOA automatically adds to all outgoing requests from one service to "
            "another "
            "when those requests are made with `request.client.call_**(...)` or "
            "`request.client.send_request(...)`. "
            "For example, if Foo Service calls Bar Service, the request context that Bar Service receives "
            "will "
            'include `"calling_service": "foo"`. May be useful for logging or metrics.'
        ),
        "correlation_id": fields.UnicodeString(
            description="Correlation IDs can be used at your own discretion, but are generally shared across "
            "multiple service requests, even across multiple services, to correlate requests that are "
            "logically linked together (example: such as all PySOA requests that occur within the scope of a "
            "single HTTP request in a client application). The PySOA client automatically adds a UUID "
            "correlation ID to all outgoing requests if the client is not already configured with an "
            "inherited correlation ID, and the client available in `request.client` automatically inherits "
            "the correlation ID from the request."
        ),
        "switches": fields.List(fields.Integer(), description="The switches that the caller turned on."),
    },
    optional_keys=("caller", "calling_service"),
    allow_extra_keys=True,
)
"""What the context header must look like."""

JobRequestSchema: Dictionary = fields.Dictionary(
    {
        "control": ControlHeaderSchema,
        "context": ContextHeaderSchema,
        "actions": fields.List(
            ActionRequestSchema,
            min_length=1,
            description="The list of all actions to execute in this request",
        ),
    }
)
"""What the body of a request message must look like."""
