"""A client in a process of its own: takes calls as pickles on standard input, answers on standard output.

It runs under PySOA 1.4.9 and under PySOA 2. A call is ``(method, args, kwargs)``; the answer is plain values:
what was returned, or the class name, text and errors of what was raised.
"""

import datetime
import os
import pickle
import sys

import attr

from pysoa.client.client import Client

try:
    import pytz
except ImportError:
    pytz = None


def main():
    """Serve until standard input ends."""
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    client = Client(pickle.load(orders))
    while True:
        try:
            method, args, kwargs = pickle.load(orders)
        except EOFError:
            return
        try:
            result = getattr(client, method)(*with_own_utc(args), **with_own_utc(kwargs))
            if method.endswith("_parallel"):
                result = list(result)
            answer = {"returned": plain(result)}
        except Exception as error:
            found = []
            if isinstance(error, Client.CallJobError):
                found = error.errors
            elif isinstance(error, Client.CallActionError):
                found = [each for action in error.actions for each in action.errors]
            answer = {"raised": type(error).__name__, "text": str(error), "errors": plain(found)}
        pickle.dump(answer, answers, protocol=4)
        answers.flush()


def with_own_utc(value):
    """Give date-times in UTC the time zone object that 1.4.9 insists on, where it is installed."""
    if isinstance(value, dict):
        return {key: with_own_utc(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(with_own_utc(item) for item in value)
    if pytz and isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.replace(tzinfo=pytz.UTC)
    return value


def plain(value):
    """Turn objects of either version into values that can be compared."""
    if isinstance(value, Exception):
        return {"exception": type(value).__name__}
    if attr.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attr.fields(type(value))}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC)
    return value


if __name__ == "__main__":
    main()
