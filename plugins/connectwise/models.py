import peewee

from core.db import InstantField, JsonField, Model


class CwCompany(Model):
    """A company as ConnectWise has it, and the customer that it is. It belongs to the MSP: one without a customer is nobody's yet.

    :ivar tenant: the login name of the ConnectWise that it is in; with ``cw_id`` its identity, since identifiers and names change.
    :ivar data: what is shown of it, see ``mapper.to_company``.
    :ivar fetched_at: when ConnectWise last told of it; ``configurations_at``, of its configurations.
    :ivar removed_why: ``deleted`` (marked so upstream), ``gone`` (404), ``left_out`` (no longer among those that are synced).
    :ivar due_run: the run that found it removed and has not carried that out yet.
    :ivar review: why a person has to say which customer it is (``matching.REASONS``), or that one did: ``ignored``; empty when it
        is linked or was not looked at yet.
    :ivar candidates: ids of customers that it may be.
    """

    id = peewee.CharField(32, primary_key=True)
    tenant = peewee.CharField(100)
    cw_id = peewee.BigIntegerField()
    customer_id = peewee.CharField(32, null=True, unique=True)
    identifier = peewee.CharField(100)
    identifier_key = peewee.CharField(200)
    name = peewee.CharField(200)
    name_key = peewee.CharField(400)
    data = JsonField()
    digest = peewee.CharField(32)
    changed_at = InstantField(null=True)
    fetched_at = InstantField()
    configurations_at = InstantField(null=True)
    removed_at = InstantField(null=True)
    removed_why = peewee.CharField(16, default="")
    due_run = peewee.CharField(32, default="")
    due_why = peewee.CharField(16, default="")
    review = peewee.CharField(16, default="")
    candidates = JsonField(default=list)

    class Meta:
        indexes = ((("tenant", "cw_id"), True), (("tenant", "name_key"), False), (("tenant", "identifier_key"), False))


CwCompany.add_index(CwCompany.index(CwCompany.tenant, CwCompany.cw_id, name="cw_company_unlinked").where(CwCompany.customer_id.is_null()))
CwCompany.add_index(CwCompany.index(CwCompany.due_run, name="cw_company_due").where(CwCompany.due_run != ""))


class CwConfiguration(Model):
    """A configuration (a device, a service) of a company that is a customer; others are not kept."""

    id = peewee.BigAutoField()
    customer_id = peewee.CharField(32)
    tenant = peewee.CharField(100)
    cw_id = peewee.BigIntegerField()
    company_cw_id = peewee.BigIntegerField()
    name = peewee.CharField(200)
    data = JsonField()
    digest = peewee.CharField(32)
    changed_at = InstantField(null=True)
    fetched_at = InstantField()
    removed_at = InstantField(null=True)
    due_run = peewee.CharField(32, default="")

    class Meta:
        indexes = ((("customer_id", "tenant", "cw_id"), True), (("tenant", "cw_id"), False))

    @classmethod
    def of(cls, customer_id: str) -> peewee.ModelSelect:
        """Those of one customer that are there, by name."""
        return cls.select().where(cls.customer_id == customer_id, cls.removed_at.is_null()).order_by(cls.name, cls.cw_id)


CwConfiguration.add_index(CwConfiguration.index(CwConfiguration.due_run, name="cw_configuration_due").where(CwConfiguration.due_run != ""))
