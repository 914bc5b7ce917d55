"""What the generated projects are made of: repositories, packages, weaknesses, rules, licenses.

Packages have the names of real ones, so that a demo looks familiar. Which of them is said to have which weakness is made up,
and so are the identifiers.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weakness:
    """What can be wrong with a package."""

    title: str
    cwe: int
    severity: str
    score: float
    vector: str


@dataclass(frozen=True, slots=True)
class Rule:
    """What a scan of code or configuration looks for."""

    id: str
    title: str
    severity: str
    cwe: tuple[int, ...] = ()
    description: str = ""
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Sketch:
    """A project to be generated; ``{repo}`` in a name stands for the repository."""

    type: str
    file: str = ""
    origin: str = "github"
    share: int = 10


WEAKNESSES = (
    Weakness("Remote Code Execution (RCE)", 94, "critical", 9.8, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
    Weakness("Prototype Pollution", 1321, "high", 7.5, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N"),
    Weakness("Deserialization of Untrusted Data", 502, "high", 8.1, "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H"),
    Weakness("Regular Expression Denial of Service (ReDoS)", 1333, "medium", 5.3, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L"),
    Weakness("Denial of Service (DoS)", 400, "high", 7.5, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"),
    Weakness("Directory Traversal", 22, "high", 7.5, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"),
    Weakness("Cross-site Scripting (XSS)", 79, "medium", 6.1, "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"),
    Weakness("Information Exposure", 200, "medium", 5.3, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"),
    Weakness("Open Redirect", 601, "medium", 5.4, "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:L/I:L/A:N"),
    Weakness("Server-side Request Forgery (SSRF)", 918, "medium", 6.5, "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:N"),
    Weakness("Improper Input Validation", 20, "medium", 5.9, "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:H/A:N"),
    Weakness("Insecure Randomness", 338, "low", 3.7, "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:N/A:N"),
    Weakness("Uncontrolled Resource Consumption", 770, "low", 3.3, "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:L"),
    Weakness("Out-of-bounds Read", 125, "low", 3.7, "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:N/A:N"),
)
#: by type of project: the word in Snyk's ids, and packages with a version
PACKAGES = {
    "npm": ("JS", (
        ("lodash", "4.17.15"), ("minimist", "1.2.5"), ("axios", "0.21.1"), ("moment", "2.29.1"), ("express", "4.17.1"), ("ws", "7.4.5"),
        ("qs", "6.5.2"), ("semver", "5.7.1"), ("json5", "1.0.1"), ("tar", "6.1.0"), ("glob-parent", "5.1.1"), ("node-fetch", "2.6.1"),
        ("ansi-regex", "4.1.0"), ("follow-redirects", "1.14.0"), ("got", "9.6.0"), ("jsonwebtoken", "8.5.1"))),
    "maven": ("JAVA", (
        ("org.apache.logging.log4j:log4j-core", "2.14.1"), ("org.springframework:spring-beans", "5.3.17"), ("org.yaml:snakeyaml", "1.29"),
        ("com.fasterxml.jackson.core:jackson-databind", "2.12.5"), ("commons-io:commons-io", "2.6"), ("com.h2database:h2", "1.4.200"),
        ("org.apache.commons:commons-text", "1.9"), ("io.netty:netty-codec-http", "4.1.68.Final"),
        ("ch.qos.logback:logback-classic", "1.2.3"), ("org.apache.tomcat.embed:tomcat-embed-core", "9.0.52"),
        ("com.google.guava:guava", "29.0-jre"))),
    "pip": ("PYTHON", (
        ("pillow", "9.5.0"), ("requests", "2.30.0"), ("jinja2", "2.11.2"), ("pyyaml", "5.3"), ("urllib3", "1.26.4"), ("django", "3.2.4"),
        ("cryptography", "3.3.2"), ("flask", "1.1.2"), ("sqlparse", "0.4.1"), ("certifi", "2021.5.30"), ("werkzeug", "1.0.1"),
        ("paramiko", "2.7.2"))),
    "gomodules": ("GOLANG", (
        ("golang.org/x/net/http2", "0.7.0"), ("golang.org/x/crypto/ssh", "0.0.0"), ("github.com/gin-gonic/gin", "1.7.0"),
        ("gopkg.in/yaml.v3", "3.0.0"), ("github.com/dgrijalva/jwt-go", "3.2.0"), ("google.golang.org/grpc", "1.50.0"))),
    "nuget": ("DOTNET", (
        ("Newtonsoft.Json", "12.0.3"), ("System.Text.Json", "5.0.1"), ("Microsoft.Data.SqlClient", "2.1.1"), ("System.Net.Http", "4.3.0"),
        ("log4net", "2.0.8"), ("SharpZipLib", "1.3.0"))),
    "deb": ("DEBIAN11", (
        ("openssl/libssl1.1", "1.1.1k-1"), ("glibc/libc6", "2.31-13"), ("zlib/zlib1g", "1:1.2.11.dfsg-2"), ("curl/libcurl4", "7.74.0-1.3"),
        ("expat/libexpat1", "2.2.10-2"), ("systemd/libsystemd0", "247.3-6"), ("perl/perl-base", "5.32.1-4"), ("libxml2", "2.9.10+dfsg-6"),
        ("krb5/libgssapi-krb5-2", "1.18.3-6"), ("ncurses/libtinfo6", "6.2+20201114-2"), ("apt/libapt-pkg6.0", "2.2.4"),
        ("gnutls28/libgnutls30", "3.7.1-5"))),
}
CODE_RULES = (
    Rule("SqlInjection", "SQL Injection", "high", (89,), "Unsanitized input from an HTTP parameter flows into a query."),
    Rule("CommandInjection", "Command Injection", "high", (78,), "Unsanitized input flows into a command that is executed."),
    Rule("PathTraversal", "Path Traversal", "high", (23,), "Unsanitized input flows into a path that is opened."),
    Rule("HardcodedSecret", "Hardcoded Secret", "high", (547, 798), "Avoid hardcoding values that are meant to be secret."),
    Rule("XSS", "Cross-site Scripting (XSS)", "medium", (79,), "Unsanitized input flows into a page."),
    Rule("OpenRedirect", "Open Redirect", "medium", (601,), "Unsanitized input flows into a redirect."),
    Rule("WeakHash", "Use of Password Hash With Insufficient Computational Effort", "medium", (916,), "MD5 is not fit to keep passwords."),
    Rule("Csrf", "Cross-Site Request Forgery (CSRF)", "medium", (352,), "The request changes state and has no token."),
    Rule("InsecureTls", "Improper Certificate Validation", "low", (295,), "The certificate is not verified."),
    Rule("DebugMode", "Debug Features Enabled", "low", (489,), "Debug mode is enabled."),
)
_POD = "spec.template.spec"
CONFIG_RULES = (
    Rule("SNYK-CC-K8S-1", "Container is running in privileged mode", "high", (250,), resource=f"{_POD}.containers[0].securityContext"),
    Rule("SNYK-CC-K8S-4", "Container is running without memory limit", "low", (400,), resource=f"{_POD}.containers[0].resources"),
    Rule("SNYK-CC-K8S-8", "Container is running with writable root filesystem", "low", (732,), resource=f"{_POD}.containers[0]"),
    Rule("SNYK-CC-K8S-10", "Container is running without root user control", "medium", (250,), resource=f"{_POD}.securityContext"),
    Rule("SNYK-CC-TF-1", "Security Group allows open ingress", "medium", (284,), resource="resource > aws_security_group[web] > ingress"),
    Rule("SNYK-CC-TF-4", "S3 bucket is not encrypted", "medium", (311,), resource="resource > aws_s3_bucket[logs]"),
    Rule("SNYK-CC-TF-45", "API Gateway allows anonymous access", "low", (306,), resource="resource > aws_api_gateway_method[any]"),
    Rule("SNYK-CC-TF-73", "RDS instance is publicly accessible", "high", (668,), resource="resource > aws_db_instance[main]"),
)
LICENSES = (("GPL-3.0", "high"), ("AGPL-3.0", "high"), ("LGPL-3.0", "medium"), ("MPL-2.0", "medium"), ("EPL-1.0", "medium"))

SKETCHES = (
    (Sketch("npm", "package.json", share=16), Sketch("sast", share=9), Sketch("deb", "Dockerfile", share=18)),
    (Sketch("maven", "pom.xml", share=14), Sketch("sast", share=8)),
    (Sketch("k8sconfig", "deploy/deployment.yaml", share=4), Sketch("terraformconfig", "infra/main.tf", share=5)),
    (Sketch("npm", "web/package.json", "azure-repos", 0), Sketch("pip", "requirements.txt", share=11), Sketch("deb", "", "ecr", 20)),
    (Sketch("nuget", "src/Api/Api.csproj", "azure-repos", 7),),
    (Sketch("gomodules", "go.mod", share=6), Sketch("sast", share=5)),
)
REPOSITORIES = {
    "northwind": ("storefront", "order-service", "platform", "payments", "search", "returns", "loyalty", "warehouse", "invoicing",
                  "gateway"),
    "contoso": ("claims-portal", "policy-admin", "cloud-base", "pricing", "telematics", "broker-api", "documents", "billing", "audit",
                "hub"),
}
FOLDERS = ("src/api", "src/services", "src/storage", "src/jobs", "app/controllers", "app/lib")
FILES = ("account", "basket", "catalog", "delivery", "export", "invoice", "login", "order", "payment", "report", "session", "upload")
ENDINGS = ("ts", "java", "py", "go", "cs")
