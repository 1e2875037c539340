"""The client: calls actions of services, one by one, several in one job, or in parallel."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Final

from pysoa.client._base import (
    ActionRequestArgument,
    ActionRequestArgumentIterable,
    ActionRequestArgumentList,
    JobRequestArgument,
)
from pysoa.client._future_calls import FutureCalls
from pysoa.client._futures import FutureSOAResponse
from pysoa.client._handler import ServiceHandler
from pysoa.client._requests import check_control_of_call, check_seconds, make_context, make_control
from pysoa.client._responses import only_action
from pysoa.client._shortcut import call_alone
from pysoa.client.expander import Expansions
from pysoa.common.types import (
    ActionRequest,
    ActionResponse,
    Body,
    Context,
    Control,
    JobResponse,
)

__all__ = (
    "ActionRequestArgument",
    "ActionRequestArgumentIterable",
    "ActionRequestArgumentList",
    "Client",
    "FutureSOAResponse",
    "JobRequestArgument",
    "ServiceHandler",
)


class Client(FutureCalls):
    """Calls the actions of services, one by one, several in one job, or in parallel.

    ::

        client = Client({"library": {"transport": {"path": ..., "kwargs": {...}}}})
        response = client.call_action("library", "find_book", {"isbn": "978-0141439518"})
        print(response.body["title"])

    A client is safe to use from several threads, and after a fork from both processes. Keep one for the life
    of the process, as it keeps connections; :meth:`with_context` gives one with another base context that
    shares them.

    Args:
        config: The entire client configuration dict, whose keys are service names and values are settings
            dicts abiding by the ``ClientSettings`` schema.
        expansion_config: The optional expansion configuration dict, if this client supports expansions, which
            is a dict abiding by the ``ExpansionSettings`` schema.
        settings_class: An optional settings schema enforcement class to use, which overrides the default of
            ``ClientSettings``.
        context: An optional base request context that will be used for all requests this client instance
            sends (individual calls can add to and override the values supplied in this context dict). It is
            kept, not
            copied: what is changed in it later shows in later requests.

    Raises:
        ImproperlyConfigured: Settings are wrong, or name a class that is not installed.
    """

    def call_action(
        self,
        service_name: str,
        action: str,
        body: Body | None = None,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        timeout: float | None = None,
        switches: Iterable[Any] | None = None,
        correlation_id: str | None = None,
        context: Context | None = None,
        control_extra: Control | None = None,
    ) -> ActionResponse:
        """Build and send a single job request with one action.

        Args:
            service_name: The name of the service to call.
            action: The name of the action to call.
            body: The action request body. ``None`` means an empty one.
            expansions: A dictionary representing the expansions to perform: type name to paths. Ignored by a
                client without expansion configuration.
            raise_job_errors: Whether to raise a ``CallJobError`` if the job response contains errors.
            raise_action_errors: Whether to raise a ``CallActionError`` if any action responses contain
                errors.
            timeout: How many seconds the request may wait for a server, and this method for the response. It
                also limits each round of expansions anew. ``None`` and 0 mean the defaults of the transport.
            switches: A list of switch value integers, or of switch constants.
            correlation_id: The request correlation ID. ``None`` means the one of the client's context, or a
                new one, which all jobs and expansions of this call share.
            context: A dictionary of extra values to include in the context header.
            control_extra: A dictionary of extra values to include in the control header.

        Returns:
            The action response. With ``raise_job_errors=False``, the list of job errors instead if there are
            any.

        Raises:
            CallActionError: An action response contains errors, and these are to be raised.
            CallJobError: A job response contains errors, and these are to be raised.
            ImproperlyConfigured: The client has no settings for a service.
            InvalidExpansionKey: An expansion is not configured; nothing was sent.
            PySOATransportError: A request could not be sent, or no response was received in time.
            SerializationError: The request holds something that cannot be sent; nothing was sent.
            UnexpectedResponseError: There was no response, or one without an action response.
            ValueError: The time limit is negative or not finite, or ``control_extra`` suppresses the
                response.
        """
        cls = type(self)
        is_extended = (
            cls.call_action_future is not _CALL_ACTION_FUTURE
            or cls.call_actions_future is not _CALL_ACTIONS_FUTURE
        )
        handler = None if is_extended or expansions else self._plain_handler(service_name)
        if is_extended or (handler is None and self._is_extended()):
            return self.call_action_future(
                service_name=service_name,
                action=action,
                body=body,
                expansions=expansions,
                raise_job_errors=raise_job_errors,
                raise_action_errors=raise_action_errors,
                timeout=timeout,
                switches=switches,
                correlation_id=correlation_id,
                context=context,
                control_extra=control_extra,
            ).result()
        if handler is None:
            call = self._new_call(
                expansions,
                raise_job_errors,
                raise_action_errors,
                timeout,
                switches,
                correlation_id,
                context,
                control_extra,
            )
            actions = [ActionRequest(action, body or {})]
            call.send(service_name, actions)
        else:
            control: Control = {"continue_on_error": False, "suppress_response": False}
            if control_extra or timeout is not None:
                check_seconds("timeout", timeout)
                check_control_of_call(control_extra)
                control = make_control(False, False, control_extra, timeout)
            request_id, outcome = call_alone(
                handler,
                action,
                body or {},
                control,
                make_context(self.context, switches, correlation_id, context),
                timeout or None,
            )
            if isinstance(outcome, JobResponse) and not outcome.errors and outcome.actions:
                action_response = outcome.actions[0]
                if not action_response.errors:
                    return action_response
            actions = [ActionRequest(action, body or {})]
            call = self._continue_call(
                handler.exchange,
                request_id,
                service_name,
                actions,
                outcome,
                raise_job_errors,
                raise_action_errors,
                timeout,
            )
        try:
            return only_action(call.only_result(), service_name, action)
        except BaseException:
            call.abandon()
            raise

    def call_actions(
        self,
        service_name: str,
        actions: ActionRequestArgumentList,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        timeout: float | None = None,
        switches: Iterable[Any] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Context | None = None,
        control_extra: Control | None = None,
    ) -> JobResponse:
        """Build and send a single job request with one or more actions.

        Args:
            service_name: The name of the service to call.
            actions: A list of ``ActionRequest`` objects and/or dicts that can be converted to
                ``ActionRequest`` objects.
            expansions: A dictionary representing the expansions to perform: type name to paths. Ignored by a
                client without expansion configuration.
            raise_job_errors: Whether to raise a ``CallJobError`` if the job response contains errors.
            raise_action_errors: Whether to raise a ``CallActionError`` if any action responses contain
                errors.
            timeout: How many seconds the request may wait for a server, and this method for the response. It
                also limits each round of expansions anew. ``None`` and 0 mean the defaults of the transport.
            switches: A list of switch value integers, or of switch constants.
            correlation_id: The request correlation ID. ``None`` means the one of the client's context, or a
                new one, which all jobs and expansions of this call share.
            continue_on_error: Whether the service should continue executing further actions once one action
                has returned errors.
            context: A dictionary of extra values to include in the context header.
            control_extra: A dictionary of extra values to include in the control header.

        Returns:
            The job response, with an action response for each action in the same order as provided, or up to
            the first one with errors.

        Raises:
            CallActionError: An action response contains errors, and these are to be raised.
            CallJobError: A job response contains errors, and these are to be raised.
            ImproperlyConfigured: The client has no settings for a service.
            InvalidExpansionKey: An expansion is not configured; nothing was sent.
            PySOATransportError: A request could not be sent, or no response was received in time.
            SerializationError: The request holds something that cannot be sent; nothing was sent.
            UnexpectedResponseError: There was no response, or one without an action response.
            ValueError: The time limit is negative or not finite, or ``control_extra`` suppresses the
                response.
        """
        return self.call_actions_future(
            service_name=service_name,
            actions=actions,
            expansions=expansions,
            raise_job_errors=raise_job_errors,
            raise_action_errors=raise_action_errors,
            timeout=timeout,
            switches=switches,
            correlation_id=correlation_id,
            continue_on_error=continue_on_error,
            context=context,
            control_extra=control_extra,
        ).result()

    def call_actions_parallel(
        self,
        service_name: str,
        actions: ActionRequestArgumentIterable,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        catch_transport_errors: bool = False,
        timeout: float | None = None,
        switches: Iterable[Any] | None = None,
        correlation_id: str | None = None,
        context: Context | None = None,
        control_extra: Control | None = None,
    ) -> Generator[ActionResponse, None, None]:
        """Build and send multiple job requests to one service, each with one action, and await them all.

        The jobs are executed in parallel, as far as there are servers. Any exception discards the other
        responses, unless the arguments say otherwise.

        Args:
            service_name: The name of the service to call.
            actions: ``ActionRequest`` objects and/or dicts that can be converted to ``ActionRequest``
                objects.
            expansions: A dictionary representing the expansions to perform: type name to paths. Ignored by a
                client without expansion configuration.
            raise_job_errors: Whether to raise a ``CallJobError`` if the job response contains errors.
            raise_action_errors: Whether to raise a ``CallActionError`` if any action responses contain
                errors.
            catch_transport_errors: Whether to catch transport errors and return them in place of the
                corresponding responses, instead of letting them propagate and losing the other responses.
            timeout: How many seconds the request may wait for a server, and this method for all responses
                together. It also limits each round of expansions anew. ``None`` and 0 mean the defaults of
                the transport.
            switches: A list of switch value integers, or of switch constants.
            correlation_id: The request correlation ID. ``None`` means the one of the client's context, or a
                new one, which all jobs and expansions of this call share.
            context: A dictionary of extra values to include in the context header.
            control_extra: A dictionary of extra values to include in the control header.

        Returns:
            A generator of action responses, one for each action in the same order as provided. With
            ``raise_job_errors=False``, the list of job errors stands in for the response of a job that has
            any; with ``catch_transport_errors=True``, the transport error for one that could not be had.

        Raises:
            CallActionError: An action response contains errors, and these are to be raised.
            CallJobError: A job response contains errors, and these are to be raised.
            ImproperlyConfigured: The client has no settings for a service.
            InvalidExpansionKey: An expansion is not configured; nothing was sent.
            PySOATransportError: A request could not be sent, or no response was received in time.
            SerializationError: The request holds something that cannot be sent; nothing was sent.
            UnexpectedResponseError: There was no response, or one without an action response.
            ValueError: The time limit is negative or not finite, or ``control_extra`` suppresses the
                response.
        """
        return self.call_actions_parallel_future(
            service_name=service_name,
            actions=actions,
            expansions=expansions,
            raise_job_errors=raise_job_errors,
            raise_action_errors=raise_action_errors,
            catch_transport_errors=catch_transport_errors,
            timeout=timeout,
            switches=switches,
            correlation_id=correlation_id,
            context=context,
            control_extra=control_extra,
        ).result()

    def call_jobs_parallel(
        self,
        jobs: Iterable[JobRequestArgument],
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        catch_transport_errors: bool = False,
        timeout: float | None = None,
        switches: Iterable[Any] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Context | None = None,
        control_extra: Control | None = None,
    ) -> list[JobResponse]:
        """Build and send multiple job requests to one or more services, and await them all.

        The jobs are executed in parallel, as far as there are servers. Any exception discards the other
        responses, unless the arguments say otherwise. Of several jobs with errors the first decides what is
        raised.

        Args:
            jobs: Job request dicts, each containing ``service_name`` and ``actions``, where ``actions`` is a
                list of ``ActionRequest`` objects and/or dicts that can be converted to ``ActionRequest``
                objects.
            expansions: A dictionary representing the expansions to perform: type name to paths. Ignored by a
                client without expansion configuration.
            raise_job_errors: Whether to raise a ``CallJobError`` if the job response contains errors.
            raise_action_errors: Whether to raise a ``CallActionError`` if any action responses contain
                errors.
            catch_transport_errors: Whether to catch transport errors and return them in place of the
                corresponding responses, instead of letting them propagate and losing the other responses.
            timeout: How many seconds the request may wait for a server, and this method for all responses
                together. It also limits each round of expansions anew. ``None`` and 0 mean the defaults of
                the transport.
            switches: A list of switch value integers, or of switch constants.
            correlation_id: The request correlation ID. ``None`` means the one of the client's context, or a
                new one, which all jobs and expansions of this call share.
            continue_on_error: Whether the service should continue executing further actions once one action
                has returned errors.
            context: A dictionary of extra values to include in the context header.
            control_extra: A dictionary of extra values to include in the control header.

        Returns:
            The job responses, in the same order as the jobs. With ``catch_transport_errors=True``, a
            transport error stands in for a response that could not be had.

        Raises:
            CallActionError: An action response contains errors, and these are to be raised.
            CallJobError: A job response contains errors, and these are to be raised.
            ImproperlyConfigured: The client has no settings for a service.
            InvalidExpansionKey: An expansion is not configured; nothing was sent.
            PySOATransportError: A request could not be sent, or no response was received in time.
            SerializationError: The request holds something that cannot be sent; nothing was sent.
            UnexpectedResponseError: There was no response, or one without an action response.
            ValueError: The time limit is negative or not finite, or ``control_extra`` suppresses the
                response.
        """
        return self.call_jobs_parallel_future(
            jobs=jobs,
            expansions=expansions,
            raise_job_errors=raise_job_errors,
            raise_action_errors=raise_action_errors,
            catch_transport_errors=catch_transport_errors,
            timeout=timeout,
            switches=switches,
            correlation_id=correlation_id,
            continue_on_error=continue_on_error,
            context=context,
            control_extra=control_extra,
        ).result()

    def _is_extended(self) -> bool:
        """Tell whether a subclass or a test has its own futures, which blocking calls must then use."""
        cls = type(self)
        return (
            cls.call_action_future is not _CALL_ACTION_FUTURE
            or cls.call_actions_future is not _CALL_ACTIONS_FUTURE
            or self.FutureResponse is not FutureSOAResponse
            or not self.__dict__.keys().isdisjoint(_FUTURES)
        )

    def _overrides_anything(self) -> bool:
        return super()._overrides_anything() or self._is_extended()


_CALL_ACTION_FUTURE: Final = Client.call_action_future
_CALL_ACTIONS_FUTURE: Final = Client.call_actions_future
_FUTURES: Final = frozenset(("call_action_future", "call_actions_future"))

# What users see of these classes, in tracebacks and in the reference, is where they can be imported from.
FutureSOAResponse.__module__ = __name__
ServiceHandler.__module__ = __name__
