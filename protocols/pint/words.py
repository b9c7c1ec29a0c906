"""The vocabularies of PINT 3.0.0, SUR 3.0.4, END 3.0.4 and ISS 3.0.4, and how they map.

Sources: Transaction.actionCode and EnvelopeTransferFinishedResponse.responseCode (PINT 3.0.0),
EndorsementChainLink.actionCode (SUR and END 3.0.4), surrenderRequestCode and action (SUR 3.0.4),
issuanceResponseCode (ISS 3.0.4). The three words for one deed differ: a surrender that was accepted
is SACC in a transfer chain, SURRENDERED in an endorsement chain and SURR in the carrier's answer.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from protocols.title.machine import Bill, Ending, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSION = "3.0.0"
API_MAJOR = "3"


class Action(StrEnum):
    """PINT 3.0.0 Transaction.actionCode."""

    ISSUE = "ISSUE"
    TRANSFER = "TRANSFER"
    ENDORSE = "ENDORSE"
    ENDORSE_TO_ORDER = "ENDORSE_TO_ORDER"
    BLANK_ENDORSE = "BLANK_ENDORSE"
    SURRENDER_FOR_DELIVERY = "SURRENDER_FOR_DELIVERY"
    SURRENDER_FOR_AMENDMENT = "SURRENDER_FOR_AMENDMENT"
    SACC = "SACC"
    SREJ = "SREJ"
    SIGN = "SIGN"


class Reason(StrEnum):
    """Why an amendment is asked for: switch to paper, change of destination, switch of the bill."""

    SWTP = "SWTP"
    COD = "COD"
    SWI = "SWI"


#: Transactions that name nobody to whom the deed is done.
WITHOUT_RECIPIENT = frozenset({Action.SIGN, Action.BLANK_ENDORSE})
ENDORSEMENTS = frozenset({Action.ENDORSE, Action.ENDORSE_TO_ORDER, Action.BLANK_ENDORSE})
SURRENDERS = frozenset({Action.SURRENDER_FOR_DELIVERY, Action.SURRENDER_FOR_AMENDMENT})
#: Deeds that end in another party's possession; an envelope after any other is a notice only.
MOVES_POSSESSION = frozenset({Action.ISSUE, Action.TRANSFER, *SURRENDERS, Action.SREJ})


class Response(StrEnum):
    """PINT 3.0.0 EnvelopeTransferFinishedResponse.responseCode."""

    RECE = "RECE"
    DUPE = "DUPE"
    BSIG = "BSIG"
    BENV = "BENV"
    INCD = "INCD"
    MDOC = "MDOC"
    DISE = "DISE"


#: The HTTP status that goes with a signed code; where they differ, the signed code decides.
HTTP_STATUS: Mapping[Response, int] = MappingProxyType(
    {
        Response.RECE: 200,
        Response.DUPE: 200,
        Response.BSIG: 422,
        Response.BENV: 422,
        Response.INCD: 409,
        Response.MDOC: 409,
        Response.DISE: 409,
    }
)
#: After these the bill is with the receiving platform, now or since an earlier transfer.
ACCEPTED = frozenset({Response.RECE, Response.DUPE})
#: After these the active transfer is over and the bill stays with the sender.
REJECTED = frozenset({Response.BSIG, Response.BENV, Response.DISE})
#: After these the active transfer goes on.
UNFINISHED = frozenset({Response.INCD, Response.MDOC})
#: Never an answer to the start of a transfer.
NEVER_AT_START = UNFINISHED
#: A sender may correct the signature and send the same entry again.
RETRIABLE = frozenset({Response.BSIG})


class LinkAction(StrEnum):
    """SUR and END 3.0.4 EndorsementChainLink.actionCode."""

    ISSUE = "ISSUE"
    TRANSFER = "TRANSFER"
    ENDORSE = "ENDORSE"
    ENDORSE_TO_ORDER = "ENDORSE_TO_ORDER"
    BLANK_ENDORSE = "BLANK_ENDORSE"
    SURRENDER_FOR_DELIVERY = "SURRENDER_FOR_DELIVERY"
    SURRENDER_FOR_AMENDMENT = "SURRENDER_FOR_AMENDMENT"
    SURRENDERED = "SURRENDERED"
    SIGN = "SIGN"


#: SUR 3.0.4 wants a recipient in every link: the "No Party" of these.
LINKS_WITHOUT_RECIPIENT = frozenset(
    {LinkAction.SIGN, LinkAction.BLANK_ENDORSE, LinkAction.SURRENDERED}
)


class SurrenderCode(StrEnum):
    """SUR 3.0.4 surrenderRequestCode: for delivery, for amendment."""

    SREQ = "SREQ"
    AREQ = "AREQ"


class SurrenderAction(StrEnum):
    """SUR 3.0.4 SurrenderRequestAnswer.action."""

    SURR = "SURR"
    SREJ = "SREJ"


class IssuanceCode(StrEnum):
    """ISS 3.0.4 issuanceResponseCode: issued, content error, refused for good."""

    ISSU = "ISSU"
    BREQ = "BREQ"
    REFU = "REFU"


#: PINT → SUR and END. A rejected surrender is no link: the bill is as if nobody had asked.
TO_LINK: Mapping[Action, LinkAction | None] = MappingProxyType(
    {
        **{
            action: LinkAction(action.value)
            for action in Action
            if action not in (Action.SACC, Action.SREJ)
        },
        Action.SACC: LinkAction.SURRENDERED,
        Action.SREJ: None,
    }
)
#: SUR and END → PINT.
FROM_LINK: Mapping[LinkAction, Action] = MappingProxyType(
    {link: action for action, link in TO_LINK.items() if link is not None}
)
#: PINT → what a platform asks of the carrier.
TO_REQUEST: Mapping[Action, SurrenderCode] = MappingProxyType(
    {
        Action.SURRENDER_FOR_DELIVERY: SurrenderCode.SREQ,
        Action.SURRENDER_FOR_AMENDMENT: SurrenderCode.AREQ,
    }
)
FROM_REQUEST: Mapping[SurrenderCode, Action] = MappingProxyType(
    {code: action for action, code in TO_REQUEST.items()}
)
#: The carrier's answer → the transaction that a transfer chain records.
FROM_ANSWER: Mapping[SurrenderAction, Action] = MappingProxyType(
    {SurrenderAction.SURR: Action.SACC, SurrenderAction.SREJ: Action.SREJ}
)
TO_ANSWER: Mapping[Action, SurrenderAction] = MappingProxyType(
    {action: answer for answer, action in FROM_ANSWER.items()}
)

#: PINT → the operation of our title machine. Across platforms TRANSFER is OFFER and ACCEPT_OFFER
#: (R20). SIGN changes no title.
TO_TITLE: Mapping[Action, Kind | None] = MappingProxyType(
    {
        Action.ISSUE: Kind.ISSUE,
        Action.TRANSFER: Kind.TRANSFER,
        Action.ENDORSE: Kind.ENDORSE,
        Action.ENDORSE_TO_ORDER: Kind.ENDORSE_TO_ORDER,
        Action.BLANK_ENDORSE: Kind.BLANK_ENDORSE,
        Action.SURRENDER_FOR_DELIVERY: Kind.SURRENDER_FOR_DELIVERY,
        Action.SURRENDER_FOR_AMENDMENT: Kind.SURRENDER_FOR_AMENDMENT,
        Action.SACC: Kind.ACCEPT_SURRENDER,
        Action.SREJ: Kind.REJECT_SURRENDER,
        Action.SIGN: None,
    }
)
#: Our title machine → PINT. An offer is no transaction, its acceptance is the TRANSFER that a
#: chain shows; END is what a carrier does after SACC, where no chain goes on.
FROM_TITLE: Mapping[Kind, Action | None] = MappingProxyType(
    {
        **{kind: action for action, kind in TO_TITLE.items() if kind is not None},
        Kind.ACCEPT_OFFER: Action.TRANSFER,
        Kind.OFFER: None,
        Kind.DECLINE_OFFER: None,
        Kind.CANCEL_OFFER: None,
        Kind.END: None,
    }
)
#: How a title ends once the carrier accepted what was asked for.
ENDING: Mapping[tuple[Action, Reason | None], Ending] = MappingProxyType(
    {
        (Action.SURRENDER_FOR_DELIVERY, None): Ending.DELIVERED,
        (Action.SURRENDER_FOR_AMENDMENT, None): Ending.AMENDED,
        (Action.SURRENDER_FOR_AMENDMENT, Reason.COD): Ending.AMENDED,
        (Action.SURRENDER_FOR_AMENDMENT, Reason.SWI): Ending.AMENDED,
        (Action.SURRENDER_FOR_AMENDMENT, Reason.SWTP): Ending.PAPER,
    }
)
#: What an endorsement makes of a negotiable bill.
ENDORSED: Mapping[Action, Bill] = MappingProxyType(
    {
        Action.ENDORSE: Bill.NAMED,
        Action.ENDORSE_TO_ORDER: Bill.TO_ORDER,
        Action.BLANK_ENDORSE: Bill.BLANK,
    }
)
