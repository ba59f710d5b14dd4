"""What the AWS emulator lacks of IAM, for runs in which it enforces policies (AUTH=true), and a record of its decisions.

Each correction names what AWS does. AUTHORIZATION_LOG names the file of the record: a line of JSON for every decision
about a role, and one with the policies of every role that is assumed. While the file TLS_TERMINATED is there, requests
count as sent over TLS, as behind AWS's own endpoints; without it they are what they are, plain HTTP.
"""

import json
import os
from urllib.parse import parse_qs

import cbor2
from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam, s3, sts

# The corrections call what they replace.
extract_iam_action = iam_actions.extract_iam_action
extract_resource_arn = iam_actions.extract_resource_arn
request_tag_context = iam_actions.request_tag_context
s3_object_context = iam_actions._s3_object_context
enforce = iam_evaluator.enforce
evaluate_trust_policy = iam_evaluator.evaluate_trust_policy
pin_request_origin = app.pin_request_origin
register_session = sts.register_session


def action_of(service, method, path, headers, body, query_params):
    """The SDK speaks CBOR to CloudWatch, which names the operation in its path; a batch needs the single permission."""
    if service == "monitoring" and "/operation/" in path:
        return "cloudwatch:" + path.rpartition("/operation/")[2]
    action = extract_iam_action(service, method, path, headers, body, query_params)
    if service == "sqs" and action and action.endswith("Batch"):
        return action.removesuffix("Batch")
    return action


def resource_of(service, method, path, headers, body, query_params, region, account):
    """The emulator looks for names in CloudWatch's CBOR as if it were JSON. Only dashboards are resources there.

    Nor does it see whose policies are simulated, and which log stream is read."""
    if service == "monitoring" and "/operation/" in path:
        dashboard = cbor2.loads(body).get("DashboardName")
        return f"arn:aws:cloudwatch::{account}:dashboard/{dashboard}" if dashboard else "*"
    if service == "iam" and (simulated := parse_qs(body.decode()).get("PolicySourceArn")):
        return simulated[0]
    if service == "events" and (of_bus := bus_resource(headers, json.loads(body or b"{}"))):
        return f"arn:aws:events:{region}:{account}:{of_bus}"
    resource = extract_resource_arn(service, method, path, headers, body, query_params, region, account)
    if service == "logs":
        asked = json.loads(body or b"{}")
        # A search through all streams names none of them, and still is one of the streams.
        if (stream := asked.get("logStreamName")) or "filterPattern" in asked:
            return f"{resource}:log-stream:{stream or ''}"
    return resource


def bus_resource(headers, asked):
    """The emulator takes the name of a described bus for a rule's, and a rule whose targets are listed for its bus."""
    target = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
    bus = asked.get("EventBusName", "default")
    if target.endswith(".DescribeEventBus"):
        return f"event-bus/{asked.get('Name', 'default')}"
    if target.endswith(".ListTargetsByRule"):
        return f"rule/{bus}/{asked.get('Rule')}" if bus != "default" else f"rule/{asked.get('Rule')}"
    return None


def context_of(service, action, body, params):
    """cloudwatch:namespace, the one key that PutMetricData can be limited by; and events:source, by which PutEvents is."""
    context = request_tag_context(service, action, body, params)
    if action == "cloudwatch:PutMetricData":
        context["cloudwatch:namespace"] = namespace_of(body)
    if action == "events:PutEvents":
        sources = sorted({entry.get("Source", "") for entry in json.loads(body)["Entries"]})
        context["events:source"] = sources[0] if len(sources) == 1 else sources
    return context


def namespace_of(body):
    """Of a PutMetricData in each of the three protocols that SDKs speak."""
    if body.startswith(b"Action="):
        return parse_qs(body.decode()).get("Namespace", [""])[0]
    return (json.loads if body.startswith(b"{") else cbor2.loads)(body).get("Namespace", "")


def object_context_of(action, query_params, path, headers):
    """s3:if-none-match and s3:if-match, by which a bucket policy can demand conditional writes."""
    context = s3_object_context(action, query_params, path, headers)
    for condition in ("if-none-match", "if-match"):
        if action == "s3:PutObject" and headers.get(condition):
            context[f"s3:{condition}"] = headers[condition]
    return context


def decide(access_key, action, service, region, resource_arn="*", service_context=None):
    """The emulator's decision, recorded; and S3 tells that an object is missing only to who may list the bucket."""
    if service == "ecs" and not access_key:
        # The local Fargate endpoint, which answers ECS, looks definitions up here; it is AWS itself.
        return None
    answer = enforce(access_key, action, service, region, resource_arn, service_context)
    # Nobody is refused these, so no policy names them.
    if action not in iam_evaluator._ALWAYS_ALLOWED_ACTIONS:
        record(access_key, action, resource_arn, service_context, answer is None)
    bucket, _, key = resource_arn.removeprefix("arn:aws:s3:::").partition("/")
    if answer is None and action in ("s3:GetObject", "s3:GetObjectVersion") and not is_there(bucket, key):
        return decide(access_key, "s3:ListBucket", service, region, f"arn:aws:s3:::{bucket}")
    return answer


def is_there(bucket, key):
    found = s3._buckets.get(bucket)
    return found is None or key in found["objects"]


def role_of(access_key):
    """The role that a session's key was given for."""
    arn = (sts._sessions.get(access_key) or {}).get("Arn", "")
    return arn.split("/")[1] if ":assumed-role/" in arn else None


def record(access_key, action, resource, context, allowed):
    role = role_of(access_key)
    if role:
        write({"role": role, "action": action, "resource": resource, "context": context or {}, "allowed": allowed})


def trusts(document, caller, ctx=None):
    """The harness gives tasks their sessions, as ECS does for tasks of this account, and is people with a second factor."""
    if ctx and ctx.principal_type == "Root":
        ctx.service_context["aws:sourceaccount"] = ctx.principal_account
        ctx.service_context["aws:multifactorauthpresent"] = "true"
    return evaluate_trust_policy(document, caller, ctx)


def session_of(access_key, session):
    register_session(access_key, session)
    role = role_of(access_key)
    found = iam._roles.get(role) or {}
    documents = list((found.get("InlinePolicies") or {}).values())
    for attached in found.get("AttachedPolicies") or []:
        policy = iam._policies[attached if isinstance(attached, str) else attached["PolicyArn"]]
        documents.append(next(one["Document"] for one in policy["Versions"].values() if one["IsDefaultVersion"]))
    parsed = [json.loads(one) if isinstance(one, str) else one for one in documents]
    write({"role": role, "access_key": access_key, "policies": parsed})


def write(line):
    path = os.environ.get("AUTHORIZATION_LOG")
    if path:
        with open(path, "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def origin(source_ip, secure):
    pin_request_origin(source_ip, secure or os.path.exists(os.environ.get("TLS_TERMINATED", "")))


def install():
    """Puts the corrections in place."""
    iam_actions.extract_iam_action = action_of
    iam_actions.extract_resource_arn = resource_of
    iam_actions.request_tag_context = context_of
    iam_actions._s3_object_context = object_context_of
    iam_evaluator.enforce = decide
    iam_evaluator.evaluate_trust_policy = trusts
    app.pin_request_origin = origin
    sts.register_session = session_of
