//! ARNs and the short forms in which the API accepts them, and the API's own name.

/// The service's name before the operation in `X-Amz-Target`.
pub(crate) const TARGET: &str = "AmazonEC2ContainerServiceV20141113";

/// Builds the ARNs of one account and Region.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// Such as `us-east-1`.
    pub(crate) region: String,
    /// Twelve digits.
    pub(crate) account: String,
}

impl Names {
    fn arn(&self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{}:{resource}", self.region, self.account)
    }

    pub(crate) fn cluster(&self, name: &str) -> String {
        self.arn(&format!("cluster/{name}"))
    }

    pub(crate) fn task(&self, cluster: &str, id: &str) -> String {
        self.arn(&format!("task/{cluster}/{id}"))
    }

    pub(crate) fn container(&self, cluster: &str, task: &str, id: &str) -> String {
        self.arn(&format!("container/{cluster}/{task}/{id}"))
    }

    pub(crate) fn definition(&self, family: &str, revision: u32) -> String {
        self.arn(&format!("task-definition/{family}:{revision}"))
    }
}

/// The part after the last slash: the short name in an ARN, or the text itself.
pub(crate) fn short(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// The cluster's name, from a name, an ARN or nothing (`default`).
pub(crate) fn cluster(reference: Option<&str>) -> &str {
    reference.filter(|text| !text.is_empty()).map_or("default", short)
}

/// Family and revision of `family`, `family:revision` or an ARN. `None` when the revision is no number.
pub(crate) fn definition(reference: &str) -> Option<(&str, Option<u32>)> {
    match short(reference).split_once(':') {
        None => Some((short(reference), None)),
        Some((family, revision)) => Some((family, Some(revision.parse().ok()?))),
    }
}

/// The id of a task reference and, when it is a long ARN, the cluster it names.
pub(crate) fn task(reference: &str) -> (&str, Option<&str>) {
    let mut parts = reference.rsplit('/');
    let id = parts.next().unwrap_or(reference);
    let cluster = parts.next().filter(|_| parts.next().is_some());
    (id, cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_in_every_form() {
        assert_eq!(cluster(None), "default");
        assert_eq!(cluster(Some("arn:aws:ecs:us-east-1:1:cluster/c")), "c");
        assert_eq!(definition("f"), Some(("f", None)));
        assert_eq!(definition("arn:aws:ecs:us-east-1:1:task-definition/f:7"), Some(("f", Some(7))));
        assert_eq!(definition("f:x"), None);
        assert_eq!(task("abc"), ("abc", None));
        assert_eq!(task("arn:aws:ecs:us-east-1:1:task/c/abc"), ("abc", Some("c")));
    }
}
