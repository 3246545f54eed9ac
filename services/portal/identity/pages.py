"""
The pages of persons: sign in, enter by a link, say for whom one acts, who the members are.

Plain HTML forms, without a script: what is sent comes back as another page or as the same one with what
is wrong. Names and addresses are escaped by the template engine, whatever they are.
"""

from pathlib import Path
from typing import Annotated, Any, Final

import jinja2
import structlog
from litestar import MediaType, Request, Response, Router, get, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency, Provide
from litestar.enums import RequestEncodingType
from litestar.params import Body, PathParameter, QueryParameter
from litestar.response import Redirect

from services.portal.identity import departures, links, members, secret, sessions
from services.portal.identity.access import RIGHTS, Access
from services.portal.identity.identification import PUBLIC, csrf_token
from services.portal.identity.identity import Identity
from services.portal.identity.letters import Letter, NotCarried, link_at
from services.portal.identity.persons_file import NotYetErased
from services.portal.identity.protection import PAGES_POLICY
from services.portal.identity.provider import NotVouched, ProviderUnreachable
from services.portal.identity.sessions import Session

FORM_BYTES_MAX: Final = 16_384
STYLE_SECONDS_MAX: Final = 3_600
FOLDER: Final = Path(__file__).with_name("templates")

NOT_WIPED: Final = (
    "La personne n’est plus connue, mais un fichier occupé en garde des traces : demandez à l’exploitant "
    "de lancer registre persons erase avec son adresse."
)

log = structlog.get_logger()

_templates: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
)

Asked = Request[Session | None, Access | None, Any]
Form = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]
It = NamedDependency[Identity]


def page(request: Asked, identity: Identity, name: str, *, status: int = 200, **said: Any) -> Response[str]:
    """The page made of template *name*, for whoever asks."""
    session = request.user
    text = _templates.get_template(name).render(
        session=session,
        access=request.auth,
        csrf=csrf_token(identity.cookies.read(request.cookies, identity.cookies.session)),
        **said,
    )
    headers = {"Content-Security-Policy": PAGES_POLICY, "Cache-Control": "no-store"}
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)


def notice(request: Asked, identity: Identity, status: int, title: str, *said: str) -> Response[str]:
    """A page that says one thing."""
    return page(request, identity, "notice.html", status=status, title=title, said=said)


def _text(form: dict[str, Any], field: str) -> str:
    """What was typed into *field*; of two with one name, nothing."""
    typed = form.get(field, "")
    return typed if isinstance(typed, str) else ""


@get("/connexion", opt=PUBLIC)
async def sign_in(request: Asked, identity: It) -> Response[str]:
    """How to sign in."""
    return page(request, identity, "connexion.html", has_provider=identity.provider is not None, fault="")


@post("/connexion", opt=PUBLIC, status_code=200)
async def ask_link(request: Asked, identity: It, data: Form) -> Response[str]:
    """
    Have a link sent to an address that somebody has invited.

    The answer is the same whether it is one or not: nobody learns here who is a member of what.
    """
    now = identity.now()
    address = _text(data, "adresse")
    try:
        text = await identity.file.change(lambda db: links.asked_for(db, address, now=now))
    except members.AddressUnfit as fault:
        has_provider = identity.provider is not None
        return page(
            request, identity, "connexion.html", status=422, has_provider=has_provider, fault=str(fault)
        )
    answer = notice(
        request,
        identity,
        200,
        "Regardez votre courrier",
        "Si cette adresse est celle d’une personne invitée, un lien de connexion vient d’y être envoyé.",
        f"Il sert une seule fois, pendant {links.SIGN_IN.seconds // 60} minutes.",
    )
    if text is not None:
        # Afterwards, so that how long the answer takes does not tell either.
        to = members.address_of(address)
        subject = "Votre lien de connexion au registre"
        answer.background = BackgroundTask(send_link, identity, to, text, subject=subject)
    return answer


async def send_link(identity: Identity, address: str, text: str, *, subject: str) -> None:
    """Send the link of secret *text* to *address*; where it cannot be sent, the operator's log says so."""
    words = (
        "Ouvrez ce lien, puis appuyez sur le bouton de la page :\n\n"
        f"{link_at(identity.public_url, text)}\n\n"
        "Il ne sert qu’une fois. Si vous n’attendiez pas ce message, ne faites rien."
    )
    try:
        await identity.carry(Letter(address, subject, words))
    except NotCarried as error:
        log.error("letter.not_carried", detail=str(error))  # noqa: TRY400 - a traceback could quote the address


@get("/entree/{text:str}", opt=PUBLIC)
async def link_page(request: Asked, identity: It, text: Annotated[str, PathParameter()]) -> Response[str]:
    """A button, that uses the link. Opening the page uses nothing, and does not tell whether it is good."""
    return page(request, identity, "entree.html", text=text)


@post("/entree", opt=PUBLIC)
async def enter(request: Asked, identity: It, data: Form) -> Response[Any]:
    """Use a link: the session of whoever it was sent to begins."""
    now = identity.now()
    text = _text(data, "lien")
    person = None
    if secret.is_one(text):
        person = await identity.file.change(lambda db: links.used(db, text, now=now))
    if person is None:
        return notice(
            request,
            identity,
            403,
            "Ce lien ne sert plus",
            "Un lien sert une seule fois et pendant un temps limité. Demandez-en un autre.",
        )
    known_by = await identity.file.change(lambda db: sessions.begin(db, person, entered_by="link", now=now))
    return await _begun(request, identity, known_by)


@get("/connexion/fournisseur", opt=PUBLIC)
async def depart(request: Asked, identity: It) -> Response[Any]:
    """Leave for the identity provider."""
    if identity.provider is None:
        return notice(
            request,
            identity,
            404,
            "Pas de fournisseur d’identité",
            "Ce portail n’en a pas : demandez un lien.",
        )
    try:
        url, departure = await identity.provider.departure(returns_to=_return_url(identity))
    except (ProviderUnreachable, NotVouched) as error:
        return _no_provider(request, identity, error)
    browser = secret.make()
    await identity.file.change(lambda db: departures.keep(db, departure, browser=browser, now=identity.now()))
    return Redirect(url, cookies=[identity.cookies.made(identity.cookies.departure, browser)])


@get("/connexion/retour", opt=PUBLIC)
async def arrive(
    request: Asked,
    identity: It,
    code: Annotated[str, QueryParameter(max_length=2_000)] = "",
    came_with: Annotated[str, QueryParameter(name="state", max_length=200)] = "",
) -> Response[Any]:
    """Come back from the identity provider: the session of whoever it vouches for begins."""
    provider, now = identity.provider, identity.now()
    browser = identity.cookies.read(request.cookies, identity.cookies.departure)
    departure = None
    if browser and secret.is_one(came_with):
        departure = await identity.file.change(
            lambda db: departures.back(db, came_with, browser=browser, now=now)
        )
    if provider is None or departure is None:
        return notice(
            request,
            identity,
            403,
            "Connexion interrompue",
            "Cette connexion n’a pas été commencée dans ce navigateur, ou elle a trop duré. Recommencez.",
        )
    if not code:
        return notice(
            request, identity, 403, "Connexion refusée", "Le fournisseur d’identité ne vous a pas identifié."
        )
    try:
        vouched = await provider.arrival(departure, code=code, returns_to=_return_url(identity))
    except (ProviderUnreachable, NotVouched) as error:
        return _no_provider(request, identity, error)
    person = await identity.file.change(lambda db: members.recognised(db, vouched))
    if person is None:
        return _not_invited(request, identity)
    known_by = await identity.file.change(
        lambda db: sessions.begin(
            db, person, entered_by="provider", siret=vouched.siret, id_token=vouched.id_token, now=now
        )
    )
    return await _begun(request, identity, known_by)


def _return_url(identity: Identity) -> str:
    return f"{identity.public_url}/connexion/retour"


def _no_provider(request: Asked, identity: Identity, error: Exception) -> Response[str]:
    log.warning("sign_in.failed", detail=str(error))
    if isinstance(error, NotVouched):
        return notice(
            request,
            identity,
            403,
            "Connexion refusée",
            "Le fournisseur d’identité ne se porte pas garant de vous.",
        )
    return notice(
        request,
        identity,
        503,
        "Connexion impossible",
        "Le fournisseur d’identité ne répond pas. Réessayez plus tard.",
    )


def _not_invited(request: Asked, identity: Identity) -> Response[str]:
    return notice(
        request,
        identity,
        403,
        "Aucune institution ne vous a invité",
        "Vous êtes bien identifié, mais aucune institution pour laquelle vous travaillez ne vous a invité.",
        "Demandez une invitation à la personne qui administre le registre dans votre institution.",
    )


async def _begun(request: Asked, identity: Identity, known_by: str) -> Response[Any]:
    """A new session, in place of one that the browser had; it acts at once for the only one there is."""
    now = identity.now()
    before = identity.cookies.read(request.cookies, identity.cookies.session)
    await identity.file.change(lambda db: sessions.end(db, before))
    session = await identity.file.read(lambda db: sessions.found(db, known_by, now=now))
    assert session is not None, "a session that ended as it began"
    roles = await identity.roles(session)
    if not roles:
        await identity.file.change(lambda db: sessions.end(db, known_by))
        return _not_invited(request, identity)
    if len(roles) == 1:
        known_by = await identity.file.change(lambda db: sessions.acting_for(db, session, roles[0], now=now))
    return Redirect(
        "/au-titre-de",
        status_code=303,
        cookies=[
            identity.cookies.made(identity.cookies.session, known_by),
            identity.cookies.made(identity.cookies.departure, ""),
        ],
    )


@get("/", opt=PUBLIC, sync_to_thread=False)
def first_page() -> Redirect:
    """Where whoever types the bare address begins: for whom they act, or signing in."""
    return Redirect("/au-titre-de", status_code=303)


@get("/au-titre-de", opt=PUBLIC)
async def roles_page(request: Asked, identity: It) -> Response[Any]:
    """For whom the person may act, and for whom they do."""
    if request.user is None:
        return Redirect("/connexion", status_code=303)
    return page(request, identity, "au_titre_de.html", roles=await identity.roles(request.user))


@post("/au-titre-de", opt=PUBLIC)
async def act_for(request: Asked, identity: It, data: Form) -> Response[Any]:
    """Act for another institution from now on, under a new cookie."""
    session = request.user
    if session is None:
        return Redirect("/connexion", status_code=303)
    chosen = (_text(data, "institution"), _text(data, "principal"))
    role = next(
        (it for it in await identity.roles(session) if (it.institution, it.principal) == chosen), None
    )
    if role is None:
        return notice(
            request,
            identity,
            403,
            "Choix impossible",
            "Vous ne pouvez pas agir au titre de cette institution.",
        )
    known_by = await identity.file.change(
        lambda db: sessions.acting_for(db, session, role, now=identity.now())
    )
    return Redirect(
        "/au-titre-de", status_code=303, cookies=[identity.cookies.made(identity.cookies.session, known_by)]
    )


@post("/deconnexion", opt=PUBLIC)
async def sign_out(request: Asked, identity: It) -> Response[Any]:
    """End the session, here and at the provider."""
    session = request.user
    to: str | None = None
    if session is not None:
        await identity.file.change(lambda db: sessions.end(db, session.text))
        if identity.provider is not None and session.id_token is not None:
            try:
                to = await identity.provider.sign_out_url(
                    session.id_token, returns_to=f"{identity.public_url}/connexion"
                )
            except (ProviderUnreachable, NotVouched) as error:
                log.warning("sign_out.at_provider_failed", detail=str(error))
    return Redirect(
        to or "/connexion", status_code=303, cookies=[identity.cookies.made(identity.cookies.session, "")]
    )


# -- members, for who administers


def _administrator(request: Asked) -> Access | None:
    access = request.auth
    return access if access is not None and "administration" in access.rights else None


def _not_administrator(request: Asked, identity: Identity) -> Response[Any]:
    if request.user is None:
        return Redirect("/connexion", status_code=303)
    return notice(
        request,
        identity,
        403,
        "Réservé à l’administration",
        "Cette page est à qui administre l’institution au titre de laquelle vous agissez.",
    )


async def _members(
    request: Asked, identity: Identity, access: Access, *, status: int = 200, fault: str = ""
) -> Response[str]:
    listed = await identity.file.read(lambda db: members.listed(db, access.institution))
    return page(
        request, identity, "personnes.html", status=status, members=listed, all_rights=RIGHTS, fault=fault
    )


@get("/personnes", opt=PUBLIC)
async def members_page(request: Asked, identity: It) -> Response[Any]:
    """The persons of the institution, and the form to invite another."""
    access = _administrator(request)
    if access is None:
        return _not_administrator(request, identity)
    return await _members(request, identity, access)


@post("/personnes", opt=PUBLIC)
async def invite(request: Asked, identity: It, data: Form) -> Response[Any]:
    """Invite a person, or give one other rights."""
    access = _administrator(request)
    if access is None:
        return _not_administrator(request, identity)
    rights = [right for right in RIGHTS if _text(data, right) == "oui"]
    try:
        await invited(
            identity,
            access.institution,
            address=_text(data, "adresse"),
            name=_text(data, "nom"),
            rights=rights,
            enters_by="provider" if _text(data, "entree") == "provider" else "link",
        )
    except members.MembersError as fault:
        return await _members(request, identity, access, status=422, fault=str(fault))
    return Redirect("/personnes", status_code=303)


async def invited(
    identity: Identity,
    institution: str,
    *,
    address: str,
    name: str,
    rights: list[Any],
    enters_by: members.EntersBy,
) -> members.Member:
    """A member who was told so: by a link where they enter by one. Raises members.MembersError."""
    now = identity.now()
    member = await identity.file.change(
        lambda db: members.invite(
            db,
            institution=institution,
            address=address,
            name=name,
            rights=rights,
            enters_by=enters_by,
            now=now,
        )
    )
    if enters_by == "link":
        text = await identity.file.change(
            lambda db: links.make(db, members.known(db, address), lifetime=links.INVITATION, now=now)
        )
        await send_link(identity, member.address, text, subject=f"{institution} vous invite au registre")
    else:
        words = (
            f"{institution} vous invite au registre des partenariats. Connectez-vous avec votre compte "
            f"professionnel :\n\n{identity.public_url}/connexion"
        )
        try:
            await identity.carry(Letter(member.address, f"{institution} vous invite au registre", words))
        except NotCarried as error:
            log.error("letter.not_carried", detail=str(error))  # noqa: TRY400 - as above
    return member


@post("/personnes/retrait", opt=PUBLIC)
async def withdraw(request: Asked, identity: It, data: Form) -> Response[Any]:
    """The person acts for the institution no more."""
    access = _administrator(request)
    if access is None:
        return _not_administrator(request, identity)
    principal = _text(data, "principal")
    try:
        await identity.file.change(
            lambda db: members.withdraw(
                db, institution=access.institution, principal=principal, now=identity.now()
            )
        )
    except members.MembersError as fault:
        return await _members(request, identity, access, status=422, fault=str(fault))
    return Redirect("/personnes", status_code=303)


@post("/personnes/effacement", opt=PUBLIC)
async def erase(request: Asked, identity: It, data: Form) -> Response[Any]:
    """Nobody knows any more who the person was."""
    access = _administrator(request)
    if access is None:
        return _not_administrator(request, identity)
    principal = _text(data, "principal")
    try:
        await identity.file.change(
            lambda db: members.forget(db, institution=access.institution, principal=principal)
        )
    except members.MembersError as fault:
        return await _members(request, identity, access, status=422, fault=str(fault))
    try:
        await identity.file.wipe()
    except NotYetErased as error:
        log.error("persons.not_wiped", detail=str(error))  # noqa: TRY400 - the error says it all
        return notice(request, identity, 503, "Effacement inachevé", NOT_WIPED)
    return Redirect("/personnes", status_code=303)


@get("/identite.css", opt=PUBLIC, sync_to_thread=False)
def style() -> Response[bytes]:
    """The style of these pages."""
    return Response(
        (FOLDER / "identite.css").read_bytes(),
        media_type=MediaType.CSS,
        headers={"Cache-Control": f"public, max-age={STYLE_SECONDS_MAX}"},
    )


def routes(identity: Identity) -> Router:
    """All pages, on *identity*."""
    return Router(
        path="/",
        route_handlers=[
            first_page, sign_in, ask_link, link_page, enter, depart, arrive, roles_page, act_for, sign_out,
            members_page, invite, withdraw, erase, style,
        ],
        dependencies={"identity": Provide(lambda: identity, sync_to_thread=False)},
        include_in_schema=False,
        request_max_body_size=FORM_BYTES_MAX,
    )  # fmt: skip
