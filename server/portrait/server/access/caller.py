"""A caller whose name is proven, and what it may do."""

from collections.abc import Set
from dataclasses import dataclass

from portrait.server.access.scopes import PURPOSE_SCOPES, Scope
from portrait.server.consent.consents import Purpose
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import PermissionDenied


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whose name is proven."""

    name: str
    scopes: frozenset[Scope]
    tenant: str | None = None
    """Tenant whose shop the caller may call; None if it names none."""

    def require(self, scope: Scope) -> None:
        """Require a scope.

        Raises:
            PermissionDenied: the caller does not have it.
        """
        if scope not in self.scopes:
            raise PermissionDenied(f"the caller lacks the scope {scope}", ErrorReason.SCOPE_MISSING)

    def require_tenant(self, tenant: str) -> None:
        """Require that the caller is of a tenant.

        Raises:
            PermissionDenied: it is of another, or of none.
        """
        if self.tenant != tenant:
            raise PermissionDenied("the caller has no shop here", ErrorReason.TENANT_REFUSED)

    def choose_purposes(self, stated: Set[Purpose]) -> frozenset[Purpose]:
        """Choose the purposes of a call: the stated ones, or else all that the caller is bound to.

        Raises:
            PermissionDenied: the caller states a purpose that it has no right to.
        """
        bound = frozenset(PURPOSE_SCOPES[scope] for scope in self.scopes & PURPOSE_SCOPES.keys())
        for purpose in sorted(stated - bound):
            raise PermissionDenied(f"the caller lacks the scope purpose:{purpose}", ErrorReason.PURPOSE_REFUSED)
        return frozenset(stated) or bound
