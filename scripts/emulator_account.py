"""What the AWS emulator lacks of an account: Service Quotas, and the context keys of IAM's policy simulator.

`transcode-controller doctor` asks both. Quotas begin as those of a new account do; RequestServiceQuotaIncrease is granted
at once, and here a value may also fall.
"""

import json
from xml.sax.saxutils import escape

from ministack import app
from ministack.core import iam_actions, iam_evaluator, router
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import iam

# Fargate vCPUs, on demand and Spot.
quotas = {"L-3032A538": 6.0, "L-36FBB829": 6.0}


async def service_quotas(_method, _path, headers, body, _query_params):
    """GetServiceQuota and RequestServiceQuotaIncrease of the quotas above."""
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    asked = json.loads(body)
    code = asked.get("QuotaCode")
    if operation not in ("GetServiceQuota", "RequestServiceQuotaIncrease"):
        return error_response_json("UnknownOperationException", operation, 400)
    if asked.get("ServiceCode") != "fargate" or code not in quotas:
        return error_response_json("NoSuchResourceException", "no such quota", 400)
    if operation == "RequestServiceQuotaIncrease":
        quotas[code] = float(asked["DesiredValue"])
        return json_response({"RequestedQuota": {"QuotaCode": code, "Status": "APPROVED"}})
    return json_response({"Quota": {"ServiceCode": "fargate", "QuotaCode": code, "Value": quotas[code]}})


def members(parameters, name):
    """The values of name.member.1, name.member.2, ... of the query protocol."""
    found = []
    while value := iam._p(parameters, f"{name}.member.{len(found) + 1}"):
        found.append(value)
    return found


def context_of(parameters):
    """ContextEntries, which the emulator's simulator does not read, by key in lower case."""
    entries, n = {}, 1
    while key := iam._p(parameters, f"ContextEntries.member.{n}.ContextKeyName"):
        values = members(parameters, f"ContextEntries.member.{n}.ContextKeyValues")
        entries[key.lower()] = values[0] if len(values) == 1 else values
        n += 1
    return entries


def simulate(parameters):
    """SimulatePrincipalPolicy for a role: every action with every resource, judged with the context that was given."""
    principal = iam._p(parameters, "PolicySourceArn")
    role = principal.rpartition(":role/")[2]
    if role not in iam._roles:
        return iam._error(404, "NoSuchEntity", f"The role {principal} cannot be found.", ns="iam")
    policies = iam_evaluator._gather_role_policies(role, get_account_id())
    results = ""
    for resource in members(parameters, "ResourceArns") or ["*"]:
        for action in members(parameters, "ActionNames"):
            call = iam_evaluator.EvalContext(
                principal_arn=principal, principal_type="AssumedRole", principal_account=get_account_id(), action=action,
                resource_arn=resource, region=get_region(), service_context=context_of(parameters), secure_transport=True,
            )
            decided = iam_evaluator.evaluate(call, policies).decision
            word = {"Allow": "allowed", "Deny": "explicitDeny"}.get(decided, "implicitDeny")
            results += (
                f"<member><EvalActionName>{escape(action)}</EvalActionName>"
                f"<EvalResourceName>{escape(resource)}</EvalResourceName><EvalDecision>{word}</EvalDecision></member>"
            )
    result = f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
    return iam._xml(
        200,
        "SimulatePrincipalPolicyResponse",
        f"<SimulatePrincipalPolicyResult>{result}</SimulatePrincipalPolicyResult>",
        ns="iam",
    )


def install():
    """Puts both in place."""
    router.SERVICE_PATTERNS["servicequotas"] = {"target_prefixes": ["ServiceQuotas"]}
    iam_actions.SERVICE_TO_IAM_NAMESPACE["servicequotas"] = "servicequotas"
    app.SERVICE_HANDLERS["servicequotas"] = service_quotas
    iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = simulate
