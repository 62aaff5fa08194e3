"""The recipient's page in Swedish."""

from collector.speech.phrases import Act, Mail, Notice, Phrases, Record, Said

SWEDISH = Phrases(
    language="sv",
    months=(
        "januari",
        "februari",
        "mars",
        "april",
        "maj",
        "juni",
        "juli",
        "augusti",
        "september",
        "oktober",
        "november",
        "december",
    ),
    date="{day} {month} {year}",
    notice=Notice(
        title="Vad den här servern är",
        what=(
            (
                "En organisation som skickar mejl använder den här servern för att få veta om "
                "mejlen läses. I dem kan det finnas en liten bild, som hämtas härifrån när mejlet "
                "visas, och länkar som går via servern till den adress de anger."
            ),
            (
                "När du laddar en sådan bild eller följer en sådan länk kan tidpunkten, typen av "
                "program och en del av din nätverksadress registreras åt avsändaren, eller bara "
                "att någon gjorde det, beroende på vad avsändaren har ställt in och vad du har "
                "samtyckt till. Inga kakor sätts."
            ),
            (
                "Här kan du invända och se vad som är registrerat: med vilken länk som helst ur "
                "mejlet, utan konto. Du kan också ställa in ditt e-postprogram så att det inte "
                "hämtar bilder från nätet."
            ),
        ),
        own_words="Från organisationen som skickar mejlen",
        contact="Frågor om dina uppgifter",
        find="Se vad som är känt om dig, och stoppa det",
        find_help="Kopiera en länk ur mejlet, eller adressen till den lilla bilden, och klistra in "
        "den här. En bit av mejlets källkod går också bra. Det räcker att kopiera, du behöver "
        "inte följa länken.",
        find_label="Länk ur mejlet",
        find_button="Visa",
        not_ours="Det finns ingen länk härifrån i det du klistrade in. Kopiera en hel länk ur "
        "mejlet, från http till slutet, och försök igen.",
    ),
    record=Record(
        title="Det här mejlet och du",
        sender="Från",
        day="Datum",
        recipient="Till",
        masked="Adressen är förkortad, eftersom även andra kan ha länken om mejlet har "
        "vidarebefordrats.",
        seen="Vad som är registrerat om det här mejlet",
        opened="bilderna i det laddades",
        clicked="en länk i det följdes",
        machine_opened="bilderna i det hämtades, troligen av ett program",
        machine_clicked="en länk i det hämtades, troligen av ett program",
        nothing="Det är inte registrerat att någon har öppnat det eller följt en länk i det.",
        days_only="Dagarna räknas i UTC.",
        state="Om du spåras",
        unknown="Du har varken samtyckt eller invänt. Vad som får registreras beror på avsändarens "
        "inställningar.",
        granted="Det är noterat att du har samtyckt till spårning.",
        denied="Du stoppade spårningen på den här sidan den {day}. Ingenting registreras om dig.",
        denied_elsewhere="Det är noterat att du invänder mot spårning, eller att ingen i din domän "
        "får spåras. Ingenting registreras om dig. Det angavs inte på den här sidan och kan inte "
        "ändras här.",
        not_known="Länken är äkta. Det som är registrerat om mejlet kan inte visas just nu: "
        "registret går inte att läsa för tillfället, eller har inte mejlet ännu eller inte "
        "längre. Du kan stoppa spårningen ändå.",
        shared="Samma länk har gått till flera personer. Att mejlet öppnas registreras som ”någon "
        "av dessa”, så den här sidan kan inte veta vem du är och visar ingenting om någon.",
        anonymous="Samma länk har gått till flera personer, och ingenting som registreras genom "
        "den knyts till någon av dem. Inte heller den här sidan kan veta vem du är.",
        untracked="Det här mejlet skickades utan något som kan registreras.",
    ),
    withdraw=Act(
        title="Sluta spåra mig",
        words="Sluta spåra mig. Från och med nu registreras ingenting när jag öppnar mejl eller "
        "följer länkar i mejl som den här organisationen skickar till min adress, inte heller i "
        "mejl som jag redan har. Länkarna fungerar fortfarande.",
        button="Sluta spåra mig",
    ),
    restore=Act(
        title="Tillåt igen",
        words="Då tas det tillbaka att du har stoppat spårningen här, och inget annat: sedan är "
        "det som förut. För att det ska vara säkert att det är du skickas ett mejl till adressen, "
        "med en länk för att bekräfta.",
        button="Skicka mejlet",
    ),
    ask=Act(
        title="Sluta spåra mig",
        words="Skriv adressen där du fick mejlet. Om mejlet skickades dit får du ett till, med en "
        "länk för att bekräfta. Den här sidan avslöjar inte om det var så.",
        button="Skicka mejlet",
    ),
    ask_label="Din e-postadress",
    deny=Act(
        title="Sluta spåra mig",
        words="Sluta spåra {mask}. Från och med nu registreras ingenting när mejl från den här "
        "organisationen till den adressen öppnas eller en länk i dem följs, inte heller i mejl "
        "som redan har kommit fram. Länkarna fungerar fortfarande.",
        button="Sluta spåra mig",
    ),
    undo=Act(
        title="Tillåt igen",
        words="Ta tillbaka att spårningen stoppades för {mask}: från och med nu är det som förut. "
        "Det är inget samtycke.",
        button="Tillåt igen",
    ),
    not_unsubscribe="Det här är inte att avsluta en prenumeration: du får fortfarande mejl. "
    "Vill du inte ha fler, använd mejlets egen länk för att avregistrera dig, eller svara på det.",
    withdrawn=Said(
        "Du spåras inte längre",
        (
            (
                "Det gäller från och med nu, även mejl som du redan har: när du öppnar mejl eller "
                "följer länkar i mejl som den här organisationen skickar till din adress "
                "registreras ingenting. Länkarna fungerar fortfarande."
            ),
            (
                "Det som registrerades tidigare finns kvar. Vill du att det raderas, vänd dig till "
                "avsändaren."
            ),
        ),
    ),
    withdrawal_kept=Said(
        "Din invändning är sparad",
        (
            (
                "Från och med nu registreras ingenting när du öppnar det här mejlet eller följer "
                "länkarna i det. Länkarna fungerar fortfarande."
            ),
            (
                "Registret går inte att läsa eller känner inte till mejlet för tillfället. Så "
                "snart det går gäller din invändning alla mejl till din adress. Du behöver inte "
                "göra något mer. Om mejlet gick till flera personer med samma länk gäller den bara "
                "det här mejlet, eftersom länken inte säger vem du är."
            ),
        ),
    ),
    asked=Said(
        "Titta i din inkorg",
        (
            (
                "Om mejlet skickades till adressen som du skrev är ett till på väg dit. Det "
                "innehåller en länk: följ den för att stoppa spårningen."
            ),
            (
                "Kommer inget inom en timme? Då skickades mejlet till en annan av dina adresser, "
                "eller så är det senaste mejlet av det här slaget inte ett dygn gammalt ännu."
            ),
        ),
    ),
    restore_asked=Said(
        "Titta i din inkorg",
        (
            (
                "Ett mejl är på väg till adressen där du fick det här mejlet. Det innehåller en "
                "länk: följ den för att tillåta spårning igen. Till dess ändras ingenting."
            ),
        ),
    ),
    denied=Said(
        "Du spåras inte längre",
        (
            (
                "Det gäller från och med nu, även mejl som du redan har: ingenting registreras. "
                "Länkarna fungerar fortfarande."
            ),
            (
                "Det som registrerades tidigare finns kvar. Vill du att det raderas, vänd dig till "
                "avsändaren."
            ),
        ),
    ),
    undone=Said(
        "Det är som förut",
        (
            (
                "Att du hade stoppat spårningen är taget tillbaka. Från och med nu får det "
                "registreras som fick registreras innan du stoppade det. Vad du gjorde däremellan "
                "är inte känt och förblir det."
            ),
        ),
    ),
    nothing_undone=Said(
        "Det fanns inget att ta tillbaka",
        (
            (
                "Inget som har angetts på den här sidan gäller för adressen. Kanske har du redan "
                "bekräftat, eller så har någon noterat din invändning på annat sätt."
            ),
        ),
    ),
    confirmation_kept=Said(
        "Det är sparat",
        (
            (
                "Registret går inte att ändra för tillfället. Det du har bekräftat görs så snart "
                "det går. Du behöver inte göra något mer."
            ),
        ),
    ),
    code_ended=Said(
        "Länken gäller inte längre",
        (
            (
                "Den är ofullständig eller för gammal. Ingenting har ändrats. Ta en länk ur mejlet "
                "det gäller och börja om på första sidan."
            ),
        ),
    ),
    not_found=Said(
        "Det här är ingen länk härifrån",
        (
            (
                "Den är ofullständig, ändrades på vägen eller har aldrig varit en länk härifrån. "
                "Ta en annan länk ur mejlet och klistra in den på första sidan."
            ),
        ),
    ),
    too_often=Said(
        "Inte så ofta",
        ("Det här har begärts för ofta. Kom tillbaka i morgon.",),
    ),
    not_kept=Said(
        "Det gick inte",
        (
            (
                "Ingenting kunde skrivas just nu, så ingenting har ändrats. Kom tillbaka om några "
                "minuter."
            ),
        ),
    ),
    foreign=Said(
        "Ingenting gjordes",
        ("En annan webbplats begärde det här. Öppna sidan själv och tryck på knappen här.",),
    ),
    back="Till första sidan",
    deny_mail=Mail(
        subject="Stoppa spårning av mejl: bekräfta",
        text="Någon, troligen du, vill att mejl till {mask} inte längre spåras.\n\n"
        "Bekräfta genom att öppna den här sidan och trycka på knappen där:\n\n{link}\n\n"
        "Länken gäller i en vecka. Var det inte du, gör ingenting: då ändras ingenting.\n",
    ),
    undo_mail=Mail(
        subject="Tillåt spårning av mejl igen: bekräfta",
        text="Spårningen av mejl till {mask} har stoppats. Någon, troligen du, vill ta tillbaka "
        "det.\n\nBekräfta genom att öppna den här sidan och trycka på knappen där:\n\n{link}\n\n"
        "Länken gäller i en vecka. Var det inte du, gör ingenting: då ändras ingenting.\n",
    ),
)
