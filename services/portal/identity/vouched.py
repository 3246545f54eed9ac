"""What an identity provider says of a person, once it has been checked."""

import msgspec


class Vouched(msgspec.Struct, frozen=True):
    """The person *subject* of *issuer*. *siret* is that of whom they work for, if it is given."""

    issuer: str
    subject: str
    address: str
    name: str
    siret: str | None
    id_token: str
