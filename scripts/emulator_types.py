"""Resource types of the templates in deploy/ that the AWS emulator's CloudFormation does not know, on its own services.

CloudFront's keys are kept by its CloudFront, connections and API destinations by its EventBridge: what a stack made can be
read, and events are delivered, as if it had been made by a call.
"""

import json

from ministack.services import cloudfront, eventbridge
from ministack.services.cloudformation import provisioners


def public_key(_logical_id, props, _stack_name):
    """AWS::CloudFront::PublicKey."""
    key = cloudfront._pk_id()
    config = props["PublicKeyConfig"]
    if "BEGIN PUBLIC KEY" not in config["EncodedKey"]:
        raise ValueError("Your request contains an invalid public key")
    cloudfront._public_keys[key] = {
        "Id": key, "ETag": key, "CreatedTime": cloudfront._now_iso(), "Config": {"Comment": "", **config}
    }
    return key, {"Id": key}


def key_group(_logical_id, props, _stack_name):
    """AWS::CloudFront::KeyGroup."""
    group = cloudfront._kg_id()
    config = props["KeyGroupConfig"]
    if unknown := [key for key in config["Items"] if key not in cloudfront._public_keys]:
        raise ValueError(f"no such public key: {unknown}")
    cloudfront._key_groups[group] = {
        "Id": group, "ETag": group, "LastModifiedTime": cloudfront._now_iso(), "Config": {"Comment": "", **config}
    }
    return group, {"Id": group}


def by_call(operation, arn):
    """A type whose properties are the parameters of one of EventBridge's calls."""

    def create(_logical_id, props, _stack_name):
        status, _headers, body = operation(props)
        answer = json.loads(body)
        if status != 200:
            raise ValueError(f"{answer.get('__type')}: {answer.get('message')}")
        return props["Name"], {"Arn": answer[arn]}

    return create


def install():
    """Registers the types. What a stack made goes with the emulator, so deleting does nothing."""
    for kind, create in (
        ("AWS::CloudFront::PublicKey", public_key),
        ("AWS::CloudFront::KeyGroup", key_group),
        ("AWS::Events::Connection", by_call(eventbridge._create_connection, "ConnectionArn")),
        ("AWS::Events::ApiDestination", by_call(eventbridge._create_api_destination, "ApiDestinationArn")),
    ):
        provisioners._RESOURCE_HANDLERS[kind] = {"create": create, "delete": lambda _id, _props: None}
