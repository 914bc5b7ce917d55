"""What the engines of the stand-in know: queries with their texts, packages with their advisories, misconfigurations, attacks.

Queries and attacks are worded anew; packages and CVE numbers are public facts.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Query:
    """A SAST query; ``steps`` are the names along a data flow, from source to sink."""

    id: int
    name: str
    language: str
    group: str
    severity: str
    cwe: int
    text: str
    risk: str
    cause: str
    advice: str
    steps: tuple[str, ...] = ("request", "value", "execute")
    compliances: tuple[str, ...] | None = ("OWASP Top 10 2021",)


@dataclass(frozen=True, slots=True)
class Advisory:
    """A vulnerability of a package; ``id`` is a CVE or an id of the vendor's own."""

    id: str
    manager: str
    package: str
    version: str
    fixed: str
    score: float
    severity: str
    cwe: int
    text: str


@dataclass(frozen=True, slots=True)
class Misconfiguration:
    """An IaC query."""

    id: str
    name: str
    group: str
    platform: str
    file: str
    severity: str
    expected: str
    found: str
    text: str


@dataclass(frozen=True, slots=True)
class Alert:
    """What DAST finds."""

    name: str
    severity: str
    cwe: str
    owasp: str
    text: str
    solution: str


def _query(number: int, name: str, language: str, severity: str, cwe: int, text: str, advice: str, **more: Any) -> Query:
    words = name.replace("_", " ")
    risk = f"Whoever controls the input can use it for {words}."
    cause = "Input reaches a sensitive operation without being checked or encoded."
    key, group = 11_838_250_936_012_440_000 + number * 7919, f"{language}_{severity.title()}_Risk"
    return Query(key, name, language, group, severity, cwe, text, risk, cause, advice, **more)


QUERIES = (
    _query(1, "SQL_Injection", "Java", "HIGH", 89, "Input is concatenated into a database statement.", "Bind parameters of statements.",
           steps=("getParameter", "query", "executeQuery")),
    _query(2, "Reflected_XSS_All_Clients", "Java", "HIGH", 79, "Input is written into a page unencoded.", "Encode output for its context.",
           steps=("getParameter", "name", "print")),
    _query(3, "Deserialization_of_Untrusted_Data", "Java", "CRITICAL", 502, "Objects are read from data that anybody may send.",
           "Read a plain format, or allow only known classes.", steps=("getInputStream", "stream", "readObject")),
    _query(4, "Path_Traversal", "Java", "MEDIUM", 36, "A file name comes from the request.", "Compare the resolved path with its folder.",
           steps=("getParameter", "file", "FileInputStream")),
    _query(5, "Log_Forging", "Java", "LOW", 117, "Line ends of the input reach the log.", "Encode line ends before logging.",
           steps=("getHeader", "agent", "info")),
    _query(6, "Use_of_Hardcoded_Password", "Java", "MEDIUM", 259, "A password stands in the code.", "Read it from a secret store.",
           steps=("password",)),
    _query(7, "Privacy_Violation", "Java", "MEDIUM", 359, "Personal data leaves the application.", "Leave it out, or mask it.",
           steps=("email", "message", "write")),
    _query(8, "Heap_Inspection", "Java", "LOW", 244, "A secret stays in memory as text.", "Keep it in an array, and clear that.",
           steps=("password",), compliances=None),
    _query(9, "Command_Injection", "Python", "CRITICAL", 77, "Input becomes part of a command line.", "Pass arguments as a list.",
           steps=("args", "name", "system")),
    _query(10, "SSL_Verification_Bypass", "Python", "MEDIUM", 599, "Certificates are not verified.", "Leave verification on.",
           steps=("false", "get")),
    _query(11, "SSRF", "Python", "HIGH", 918, "The address of a request comes from the input.", "Allow known hosts only.",
           steps=("args", "url", "get")),
    _query(12, "Missing_Encryption_of_Sensitive_Data", "Python", "INFO", 311, "Sensitive data is stored as it is.", "Encrypt it at rest.",
           steps=("card",)),
    _query(13, "Client_DOM_XSS", "JavaScript", "HIGH", 79, "The page's address is written into the page.", "Use text nodes.",
           steps=("location", "hash", "innerHTML")),
    _query(14, "Prototype_Pollution", "JavaScript", "MEDIUM", 1321, "Keys of the input are written into an object.", "Refuse __proto__.",
           steps=("body", "key", "merge")),
    _query(15, "Use_Of_Broken_Or_Risky_Cryptographic_Algorithm", "JavaScript", "LOW", 327, "MD5 protects something.", "Use SHA-256.",
           steps=("createHash",)),
    _query(16, "Open_Redirect", "JavaScript", "LOW", 601, "The target of a redirect comes from the input.", "Allow own paths only.",
           steps=("query", "next", "redirect")),
)
ADVISORIES = (
    Advisory("CVE-2021-44228", "Maven", "org.apache.logging.log4j:log4j-core", "2.14.1", "2.17.1", 10.0, "CRITICAL", 502,
             "Lookups in logged messages load code from remote servers."),
    Advisory("CVE-2022-22965", "Maven", "org.springframework:spring-beans", "5.3.17", "5.3.18", 9.8, "CRITICAL", 94,
             "Binding of request parameters reaches the class loader."),
    Advisory("CVE-2020-36518", "Maven", "com.fasterxml.jackson.core:jackson-databind", "2.12.5", "2.12.6.1", 7.5, "HIGH", 787,
             "Deeply nested objects exhaust the stack."),
    Advisory("CVE-2021-23337", "Npm", "lodash", "4.17.20", "4.17.21", 7.2, "HIGH", 94, "Templates can run commands."),
    Advisory("CVE-2022-24785", "Npm", "moment", "2.29.1", "2.29.2", 7.5, "HIGH", 22, "A locale's name can leave its folder."),
    Advisory("CVE-2021-44906", "Npm", "minimist", "1.2.5", "1.2.6", 9.8, "CRITICAL", 1321, "Arguments can change prototypes."),
    Advisory("CVE-2023-44270", "Npm", "postcss", "7.0.39", "8.4.31", 5.3, "MEDIUM", 74, "Comments can end at a carriage return."),
    Advisory("Cxda14f253-4e52", "Npm", "bluebird", "3.7.2", "", 3.7, "LOW", 401, "Memory is not freed when promises are cancelled."),
    Advisory("CVE-2023-32681", "Python", "requests", "2.30.0", "2.31.0", 6.1, "MEDIUM", 200, "Proxy credentials leak on redirects."),
    Advisory("CVE-2020-1747", "Python", "pyyaml", "5.3", "5.4", 9.8, "CRITICAL", 20, "Loading YAML can run code."),
    Advisory("CVE-2020-28493", "Python", "jinja2", "2.11.2", "2.11.3", 5.3, "MEDIUM", 400, "A filter takes very long on crafted text."),
    Advisory("CVE-2022-40897", "Python", "setuptools", "58.1.0", "65.5.1", 5.9, "LOW", 1333, "A regular expression takes very long."),
)
#: package of an operating system, its version, CVE, score, severity, CWE
IMAGE_PACKAGES = (
    ("libuuid1", "2.34-0.1ubuntu9.4", "CVE-2024-28085", 3.3, "LOW", 150),
    ("openssl", "1.1.1f-1ubuntu2", "CVE-2022-0778", 7.5, "HIGH", 835),
    ("libc6", "2.31-0ubuntu9", "CVE-2023-4911", 7.8, "HIGH", 787), ("zlib1g", "1:1.2.11", "CVE-2022-37434", 9.8, "CRITICAL", 787),
    ("curl", "7.68.0-1ubuntu2", "CVE-2023-38545", 9.8, "CRITICAL", 787), ("bash", "5.0-6ubuntu1", "CVE-2022-3715", 7.8, "MEDIUM", 787),
    ("tar", "1.30+dfsg-7", "CVE-2022-48303", 5.5, "MEDIUM", 125), ("ncurses-base", "6.2-0ubuntu2", "CVE-2021-39537", 5.5, "LOW", 787),
)
MISCONFIGURATIONS = (
    Misconfiguration("fd54f200-402c-4333-a5a4-36ef6709af2f", "Missing User Instruction", "Build Process", "Dockerfile",
                     "/deploy/Dockerfile", "HIGH", "A USER is set.", "No USER is set.", "The image runs as root because no USER is set."),
    Misconfiguration("b03a748a-542d-44f4-bb86-9199ab4fd2d5", "Healthcheck Instruction Missing", "Insecure Configurations", "Dockerfile",
                     "/deploy/Dockerfile", "LOW", "A HEALTHCHECK is set.", "No HEALTHCHECK is set.", "A hanging service goes unnoticed."),
    Misconfiguration("555ab8f9-2001-455e-a077-f2d0f41e2fb9", "Unpinned Actions Full Length Commit SHA", "Supply-Chain", "CICD",
                     "/.github/workflows/build.yaml", "MEDIUM", "Actions are pinned to a commit.", "An action is not pinned.",
                     "An action that is not pinned may change under the same name."),
    Misconfiguration("451d79dc-0588-476a-ad03-3c7f0320abb3", "Container Traffic Not Bound To Host Interface", "Networking and Firewall",
                     "DockerCompose", "/docker-compose.yml", "MEDIUM", "Ports are bound to an interface.", "A port is open everywhere.",
                     "Traffic should come in on one interface only."),
    Misconfiguration("38c5ee0d-7f22-4260-ab72-5073048df100", "S3 Bucket ACL Allows Read To Any Authenticated User", "Access Control",
                     "Terraform", "/infra/storage.tf", "CRITICAL", "The bucket is private.", "Anybody with an account may read.",
                     "Every account of the provider may read the bucket."),
    Misconfiguration("4a20ebac-1060-4c81-95d1-1f7f620e983b", "Memory Limits Not Defined", "Resource Management", "Kubernetes",
                     "/deploy/service.yaml", "INFO", "A memory limit is set.", "No memory limit is set.", "One may take all memory."),
)
#: rule id, rule, severity, file
SECRETS = (
    ("aws-access-token", "AWS Access Token", "CRITICAL", "/config/settings.yml"),
    ("private-key", "Private Key", "HIGH", "/deploy/tls/key.pem"),
    ("generic-api-key", "Generic API Key", "MEDIUM", "/src/main/resources/application.properties"),
)
#: method, path, name, severity of risks that API specifications alone show
API_RISKS = (
    ("POST", "/v1/payments", "Missing Authentication", "high"), ("GET", "/v1/customers/{id}", "Broken Object Level Authorization", "high"),
    ("GET", "/v1/reports", "Missing Rate Limit", "low"), ("PUT", "/v1/profile", "Mass Assignment", "medium"),
)
ALERTS = (
    Alert("Cross Site Scripting (Reflected)", "HIGH", "79", "A03:2021", "Input is echoed in the page without encoding.",
          "Encode output for the HTML context."),
    Alert("SQL Injection", "CRITICAL", "89", "A03:2021", "A parameter changes the database statement.", "Bind parameters of statements."),
    Alert("Absence of Anti-CSRF Tokens", "MEDIUM", "352", "A01:2021", "A form can be sent from other sites.", "Add a token to every form."),
    Alert("Content Security Policy Header Not Set", "MEDIUM", "693", "A05:2021", "Nothing limits where scripts come from.",
          "Send a Content-Security-Policy."),
    Alert("Cookie Without Secure Flag", "LOW", "614", "A05:2021", "A cookie travels unencrypted.", "Set the Secure flag."),
    Alert("Server Leaks Version Information", "LOW", "497", "A05:2021", "The Server header names a version.", "Leave the version out."),
    Alert("Path Traversal", "HIGH", "22", "A01:2021", "A file name leaves its folder.", "Compare the resolved path with its folder."),
    Alert("User Agent Fuzzer", "INFO", "-1", "A05:2021", "Answers differ by user agent.", ""),
)
