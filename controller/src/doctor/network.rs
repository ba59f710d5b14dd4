//! Subnets: do they exist, in one VPC, with addresses for all tasks?

use super::{Finding, Status, Ward};
use crate::aws::query::{Service, texts};

const CHECK: &str = "network.subnets";

/// Checks the subnets of the settings.
pub(super) async fn subnets(ward: &Ward) -> Vec<Finding> {
    let ids = &ward.settings.cluster.subnets;
    let mut parameters = vec![
        ("Action".to_owned(), "DescribeSubnets".to_owned()),
        ("Version".to_owned(), "2016-11-15".to_owned()),
    ];
    parameters.extend((1..).zip(ids).map(|(n, id)| (format!("SubnetId.{n}"), id.clone())));
    match ward.query.form(Service::Ec2, "ec2:DescribeSubnets", &parameters).await {
        Err(error) if error.message.contains("InvalidSubnetID") => {
            let todo = "correct cluster.subnets, or deploy with subnets that are there";
            vec![Finding::bad(CHECK, Status::Fail, error.message, todo)]
        }
        Err(error) => vec![Finding::unread(CHECK, &error)],
        Ok(answer) => vec![judge(&answer.text, ids.len(), u64::from(ward.settings.launch.max_tasks))],
    }
}

fn judge(xml: &str, asked: usize, tasks: u64) -> Finding {
    let (mut vpcs, free) = (texts(xml, "vpcId"), texts(xml, "availableIpAddressCount"));
    vpcs.sort_unstable();
    vpcs.dedup();
    if free.len() < asked {
        let todo = "correct cluster.subnets, or deploy with subnets that are there";
        return Finding::bad(CHECK, Status::Fail, format!("{} of {asked} are there", free.len()), todo);
    }
    if vpcs.len() > 1 {
        let seen = format!("in several VPCs: {}", vpcs.join(", "));
        return Finding::bad(CHECK, Status::Fail, seen, "name subnets of one VPC in cluster.subnets");
    }
    let free: u64 = free.iter().filter_map(|count| count.parse::<u64>().ok()).sum();
    let seen = format!("{asked} with {free} free addresses; launch.max_tasks is {tasks}, each takes one");
    // Without free addresses no task starts; with few, some tasks wait.
    let status = if free == 0 { Status::Fail } else { Status::Warn };
    Finding::when(CHECK, free >= tasks, status, seen, "add larger subnets, or lower launch.max_tasks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_must_be_there_in_one_vpc_with_room() {
        let xml = |subnets: &[(&str, u64)]| {
            let items = subnets.iter().map(|(vpc, free)| {
                format!("<item><vpcId>{vpc}</vpcId><availableIpAddressCount>{free}</availableIpAddressCount></item>")
            });
            format!("<R xmlns=\"x\"><subnetSet>{}</subnetSet></R>", items.collect::<String>())
        };
        let status = |subnets: &[(&str, u64)]| judge(&xml(subnets), 2, 10).status;
        assert_eq!(status(&[("a", 5), ("a", 5)]), Status::Ok);
        assert_eq!(status(&[("a", 5), ("a", 4)]), Status::Warn);
        assert_eq!(status(&[("a", 0), ("a", 0)]), Status::Fail);
        assert_eq!(status(&[("a", 5), ("b", 5)]), Status::Fail);
        assert_eq!(status(&[("a", 500)]), Status::Fail);
    }
}
