"""Small results of each engine, for worlds of tests."""

from typing import Any

from plugins.checkmarx.upstream import Attack, Environment, Project, Result, Risk, Scan
from plugins.checkmarx.upstream.world import DastScan

P1, P2, P3 = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "123")
S1, S2, S3 = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "abc")
E1 = "eeeeeeee-2222-4222-8222-222222222222"


def sast(key: str, *, query: int = 11838250936012445671, **fields: Any) -> Result:
    node = {"fileName": "/src/A.java", "line": 41, "name": "getParameter", "method": "doGet"}
    data = {"queryId": query, "queryName": "SQL_Injection", "group": "Java_High_Risk", "resultHash": key, "languageName": "Java",
            "nodes": [node, {**node, "fileName": "/src/Dao.java", "line": 77, "name": "executeQuery"}]}
    return Result("sast", key, **{"similarity": "-1184470237", "description": "Input reaches a statement.", "data": data,
                                  "more": {"cweId": 89, "compliances": ["OWASP Top 10 2021"]}, **fields})


def sca(key: str, package: str = "Npm-examplehdr-2.3.0", **fields: Any) -> Result:
    return Result("sca", key, **{"data": {"packageIdentifier": package, "recommendedVersion": "2.4.1"}, "more": {"cveName": key}, **fields})


def kics(key: str, **fields: Any) -> Result:
    data = {"queryName": "Missing User Instruction", "fileName": "/deploy/Dockerfile", "line": 1}
    return Result("kics", key, **{"similarity": f"sim-{key}", "severity": "MEDIUM", "data": data, **fields})


def container(key: str, tag: str = "1.14.0", **fields: Any) -> Result:
    data = {"packageName": "libuuid1", "packageVersion": "2.38", "imageName": "registry.example/api", "imageTag": tag}
    return Result("containers", key, **{"severity": "LOW", "data": data, **fields})


def secret(key: str, **fields: Any) -> Result:
    data = {"ruleId": "aws", "ruleName": "AWS Key", "fileName": "/config.yml", "line": 3, "snippet": "AKIA-THE-SECRET-ITSELF"}
    return Result("sscs-secret-detection", key, **{"severity": "CRITICAL", "data": data, **fields})


def risk(key: str, **fields: Any) -> Risk:
    return Risk(key, **{"name": "SQL_Injection", "url": "/payments/{id}", **fields})


def project(*scans: Scan, key: str = P1, **fields: Any) -> Project:
    return Project(key, fields.pop("name", f"acme/{key[:2]}"), scans=list(scans), **fields)


def environment(*attacks: Attack, **fields: Any) -> Environment:
    scans = fields.pop("scans", [DastScan(S1, attacks=list(attacks))])
    return Environment(fields.pop("key", E1), "Payments staging", "https://pay.example", scans, **fields)


def attack(key: str, **fields: Any) -> Attack:
    return Attack(key, **{"name": "Cross Site Scripting (Reflected)", "url": "https://pay.example/search?q=abc", "path": "/search",
                          "description": "Input is echoed.", "solution": "Encode output.", **fields})
