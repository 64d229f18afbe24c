"""Words by which entities are told: units of quantities, small words inside names, titles, forms of firms."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# regular expressions, without blanks
UNITS = _words(
    r"""
    % ‰ °\s?[CF]? [kKMGTP]i?B(?:it|/s)? bytes? bits? [nµμmckMG]?m(?:[²³23]|/s)? km/h mph [mµμk]?g t [mcdh]?[lL] ha
    [nµμm]?s min h [mkMGT]?Wh? [mkM]?[VAJΩ] [kMG]?Hz [hkM]?Pa [mk]?bar [km]?cal [kM]?N K mol lm lx dB rpm ppm ft lbs?
    oz mi yd (?:kilo|centi|milli|mega|giga|tera|nano|micro)?(?:met(?:re|er)s?|grams?|lit(?:re|er)s?|watts?|volts?)
    amp(?:ere)?s? (?:kilo|mega|giga)?(?:hertz|joules?|pascals?|bytes?|newtons?) (?:milli|micro|nano)?seconds? minutes?
    hours? days? weeks? months? years? degrees? percent per\scent tonn?es? tons? pounds? ounces? inch(?:es)? feet foot
    yards? miles? acres? hectares? gallons? dollars? [eE]uros? cents? yen rupees? francs? kelvin Stunden? Minuten?
    Sekunden? Tagen? Wochen? Monaten? Jahren? heures? secondes? jours? semaines? mois ans? horas? minutos? segundos?
    d[ií]as? semanas? meses años? Metern? Gramm Prozent pesos?
    """
)
SCALES = _words(
    """
    thousand million billion trillion Millionen Milliarden millions milliards millones
    """
)
# they stand inside a name
JOINING = _words(
    """
    & al bin da das de del della den der di do dos du el for la le of van von zu
    """
)
# no name of more than one word begins with one
ARTICLES = _words(
    """
    A An As Das De Dem Den Der Die El Het Il La Las Le Les Lo Los O Os The
    """
)
# they stand before a person's name
TITLES = _words(
    """
    captain dame dhr don doña dr frau fräulein herr judge king lady lord madame mevr miss mlle mme monsieur mr
    mrs ms mx pan pani president prof professor queen senator señor señora signor signora sir sr sra
    """
)
LEGAL_FORMS = _words(
    """
    AB AG ASA B.V BV Co Corp GmbH Inc KG KGaA LLC LLP Ltd N.V NV Oy OY PLC Plc Pty S.A S.L S.p.A SA SARL SAS
    SE SL SpA
    """
)
# the full stop that follows is theirs
ABBREVIATED = _words(
    """
    B.V Co Corp Inc Ltd N.V S.A S.L S.p.A
    """
)
# what organizations call themselves
BODIES = _words(
    """
    Academy Agency Airlines Airways Association Bank Bureau Church College Commission Committee Company
    Corporation Council Court Department Faculty Federation Foundation Hospital Institut Institute League
    Ministry Museum Orchestra Organisation Organization Parliament School Senate Society Universidad
    University Università Universität Université
    """
)
# towns and first names that more often are words, above all of headings
NO_PLACES = _words(
    """
    Bar Bath Batman Best Born Buy Cascade Date Deal Delta East Hit Hove Lens Male Man Meta Mobile Most Nice
    Normal North Orange Reading Rest Roles Same South Split Time Union West
    """
)
NO_FIRST_NAMES = _words(
    """
    an chance delta dot echo else in len long major manual many may meta min my numbers page see sha so soon
    su un val vi will
    """
)
MONTHS = _words(
    """
    january february march april may june july august september october november december
    """
)
WEEKDAYS = _words(
    """
    monday tuesday wednesday thursday friday saturday sunday
    """
)
