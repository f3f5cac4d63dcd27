/**
 * Words that decide whether two facts say the same: negations, opposites, numbers, months and days, in the languages that
 * the service meets most. Lists, not grammar: what they do not know counts as a word like any other.
 */
const wordsOf = (text: string): readonly string[] => text.trim().split(/\s+/)

/** In lower case. A word that means something else in another language of these (`mai`, `plus`, `noch`) is left out. */
export const negations: ReadonlySet<string> = new Set(
  wordsOf(`
  not no never none nobody nothing neither nor without cannot cant dont doesnt didnt isnt arent wasnt werent wont wouldnt
  shouldnt couldnt hasnt havent hadnt mustnt neednt nowhere refuses
  nicht kein keine keinen keinem keiner keines nie niemals nichts niemand ohne weder
  ne pas jamais aucun aucune rien sans ni nunca jamás ningún ninguna ninguno nada nadie sin tampoco
  non nessun nessuno nessuna niente nulla senza né não nenhum nenhuma ninguém sem nem
  niet geen nooit niets zonder nie nigdy żaden żadna żadne nic nikt bez ani
  не нет никогда ничего никто ни без нельзя немає değil yok hiç asla inte ikke aldrig aldri ingen inget nem soha
  tidak bukan jangan không chưa δεν μην όχι לא אין
  لا ليس ليست لم لن ولا غير بدون بلا أبدا नहीं नही न मत बिना`),
)

/** Inside of words, and in scripts without spaces. The first group is what only looks like a negation. */
export const negationParts =
  /(非常|不错|不錯|不过|不過|特别|特別|别人|別人|区别|区別|少ない|危ない)|不|没|沒|无|無|未|别|別|勿|非|ない|ません|なかっ|なく|않|(?<!\S)안(?=\s)|못|없|아니|ไม่|(?<=\p{L})m[ıiuü]yor|(?<=\p{L})(?:maz|mez|madı|medi|mayacak|meyecek|mamalı|memeli)(?!\p{L})|n['’]t(?!\p{L})/gu

/** `dislike` says the opposite of `like`. */
export const negatingPrefixes = wordsOf('un in im il ir dis non des mal не без нена ना अ')

const oppositeText = `
  must|mandatory|required|obligatory / may|can|might|optional ; allowed|permitted / forbidden|prohibited|banned
  before / after ; more / less|fewer ; like|likes|liked|love|loves|enjoys / dislikes|hate|hates|hated|avoids|detests
  left / right ; open|opens|opened / closed|closes|close|shut ; on / off ; up / down ; in / out ; over / under
  increase|increases|increased|rises|rose|grew / decrease|decreases|decreased|falls|fell|shrank|dropped
  start|starts|started|begin|begins|began / stop|stops|stopped|quit|quits|ended|ceased|finished ; buy|buys|bought / sell|sells|sold
  win|wins|won / lose|loses|lost ; accepted|accepts|accept / rejected|rejects|refused|declined|declines ; enabled|enable / disabled|disable
  always|every|often / never|sometimes|rarely|seldom ; all|everyone / none|some|few ; first / last ; early|earlier / late|later
  hot|warm / cold|cool ; big|large / small|little ; old / young|new ; high|higher / low|lower ; cheap / expensive ; fast / slow
  long|longer / short|shorter ; happy / sad ; good|better|best / bad|worse|worst ; true / false ; yes / no ; alive / dead
  married / divorced|single|separated ; passed / failed ; arrives|arrived|arrive / leaves|departs|departed ; added|add / removed|remove
  above / below ; least|minimum|min / most|maximum|max ; morning / evening|afternoon|night ; day / night ; am / pm
  north / south ; east / west ; brother / sister ; son / daughter ; mother / father ; black / white ; public / private
  input / output ; local / remote ; read / write ; inside / outside ; present / absent ; safe / dangerous ; full / empty
  former|previous / current|present ; past / future ; with / without ; remember / forget ; borrowed / lent ; single / double
  mag|liebt / hasst ; erlaubt / verboten ; vor / nach ; mehr / weniger ; links / rechts ; offen|geöffnet / geschlossen ; an / aus
  steigt / sinkt|fällt ; immer / nie ; beginnt / endet ; muss|müssen / darf|kann|dürfen ; morgens / abends ; groß / klein ; mit / ohne
  aime|adore / déteste ; autorisé|permis / interdit ; avant / après ; plus / moins ; gauche / droite ; ouvert|ouverte / fermé|fermée
  toujours / jamais ; doit / peut ; matin / soir ; ama|gusta|encanta|piace|adora / odia|detesta|odeia ; permitido / prohibido|proibido
  antes / después|depois ; más|mais|più / menos|meno ; izquierda|esquerda|sinistra / derecha|direita|destra
  abierto|aberto|aperto|abierta / cerrado|fechado|chiuso|cerrada ; siempre|sempre / nunca|mai ; debe|deve / puede|può|pode
  permesso / vietato ; prima / dopo ; houdt / haat ; toegestaan / verboden ; voor / na ; meer / minder ; altijd / nooit ; moet / mag|kan
  open / dicht|gesloten ; lubi|kocha / nienawidzi ; wolno|dozwolone / zabronione ; przed / po ; więcej / mniej ; musi / może
  otwarty|otwarte|otwarta / zamknięty|zamknięte|zamknięta ; любит / ненавидит ; разрешено|можно / запрещено|нельзя ; до / после
  больше / меньше ; слева|левый|левая|левой / справа|правый|правая|правой ; открыт|открыта|открыто / закрыт|закрыта|закрыто
  всегда / никогда ; должен|должна / может ; утром / вечером ; sever|seviyor / nefret ; serbest / yasak ; önce / sonra ; sol / sağ ; açık / kapalı
  يحب|تحب / يكره|تكره ; مسموح / ممنوع ; قبل / بعد ; أكثر / أقل ; يسار / يمين ; مفتوح / مغلق ; يجب / يجوز|يمكن ; صباحا / مساء
  पसंद / नापसंद ; पहले / बाद ; ज्यादा|अधिक / कम ; बाएँ|बायाँ / दाएँ|दायाँ ; खुला / बंद ; शुरू / बंद ; सुबह / शाम`

/** Found inside of longer runs: for scripts without spaces, and for Korean, whose endings cling to the word. */
const oppositePartText = `
  喜欢|喜歡|爱吃 / 讨厌|討厭|不喜 ; 允许|可以 / 禁止|必须|必須 ; 之前|以前 / 之后|以后|之後 ; 多 / 少 ; 左 / 右 ; 打开|开门 / 关闭|关门 ; 增加|上升 / 减少|下降
  早上|上午 / 晚上|下午 ; 开始 / 停止 ; 买 / 卖 ; 大 / 小 ; 好き / 嫌い ; 任意 / 必須|禁止 ; 午前 / 午後 ; 朝 / 夜|晩 ; 開 / 閉 ; 増 / 減
  좋아 / 싫어 ; 허용 / 금지 ; 왼쪽 / 오른쪽 ; 열 / 닫 ; 켜 / 꺼 ; 증가 / 감소 ; 오전 / 오후 ; 아침 / 저녁`

type Opposites = readonly (readonly [one: readonly string[], other: readonly string[]])[]

const oppositesOf = (text: string): Opposites =>
  text.split(/[;\n]/).flatMap((line) => {
    const [one, other] = line.split('/').map((side) => side.trim().split('|'))
    return one?.[0] && other?.[0] ? [[one, other] as const] : []
  })

export const opposites = oppositesOf(oppositeText)
export const oppositeParts = oppositesOf(oppositePartText)

const synonymText = `
  lives|resides|dwells wohnt|lebt wants|wishes likes|enjoys|loves big|large|huge begins|starts kid|child kids|children buy|purchase
  bought|purchased job|position car|automobile mother|mum|mom father|dad doctor|physician is|works|employed phone|telephone
  movie|film holiday|vacation usually|normally speaks|talks replies|answers uses|utilises|utilizes vive|habita reside|vive
  habite|vit голос|звук живёт|проживает woont|leeft mieszka|żyje has|owns|keeps hates|detests small|little
  quick|fast shop|store flat|apartment trousers|pants autumn|fall`

/** The first of each group stands for all of it. */
export const synonyms: ReadonlyMap<string, string> = new Map(
  wordsOf(synonymText).flatMap((group) => {
    const [first = '', ...others] = group.split('|')
    return others.map((other): [string, string] => [other, first])
  }),
)

const numberText = `
  2: two zwei deux dos due dois duas twee dwa dwie два две iki two's दो اثنان ; 3: three drei trois tres tre três drie trzy три üç तीन ثلاثة ثلاث
  4: four vier quatre cuatro quattro quatro cztery четыре dört चार أربعة أربع ; 5: five fünf cinq cinco cinque vijf pięć пять beş पाँच पांच خمسة خمس
  6: six sechs seis zes sześć шесть altı छह ستة ; 7: seven sieben sept siete sette sete zeven siedem семь yedi सात سبعة
  8: eight huit ocho otto oito osiem восемь sekiz आठ ثمانية ; 9: nine neun neuf nueve nove negen dziewięć девять dokuz नौ تسعة
  10: ten zehn dix diez dieci dez tien dziesięć десять दस عشرة ; 11: eleven elf onze once undici elva ; 12: twelve zwölf douze doce dodici doze twaalf
  15: fifteen fünfzehn quinze quince ; 20: twenty zwanzig vingt veinte venti vinte twintig dwadzieścia двадцать yirmi
  30: thirty dreißig trente treinta trenta trinta dertig тридцать ; 40: forty vierzig cuarenta quarante quaranta ; 50: fifty fünfzig cincuenta cinquante
  60: sixty sechzig ; 70: seventy siebzig ; 80: eighty achtzig ; 90: ninety neunzig ; 100: hundred hundert cent cien cento honderd sto сто yüz
  1000: thousand tausend mille mil duizend tysiąc тысяча bin ; half: half halb halbe demi medio media mezzo meia половина`

const monthText = `
  m1: january jan januar janvier enero gennaio janeiro januari stycznia styczeń января январь ; m2: february feb februar février febrero febbraio fevereiro lutego февраля
  m3: march märz mars marzo março maart marca марта ; m4: april avril abril aprile kwietnia апреля ; m5: may mai mayo maggio maio mei maja мая
  m6: june juni juin junio giugno junho czerwca июня ; m7: july juli juillet julio luglio julho lipca июля ; m8: august août agosto augustus sierpnia августа
  m9: september septembre septiembre settembre setembro września сентября ; m10: october oktober octobre octubre ottobre outubro października октября
  m11: november novembre noviembre novembro listopada ноября ; m12: december dezember décembre diciembre dicembre dezembro grudnia декабря
  d1: monday mondays montag lundi lunes lunedì понедельник 周一 月曜 ; d2: tuesday tuesdays dienstag mardi martes martedì вторник 周二 火曜
  d3: wednesday wednesdays mittwoch mercredi miércoles mercoledì среду среда 周三 水曜 ; d4: thursday thursdays donnerstag jeudi jueves giovedì четверг 周四 木曜
  d5: friday fridays freitag vendredi viernes venerdì пятницу пятница 周五 金曜 ; d6: saturday saturdays samstag samedi sábado sabato субботу суббота 周六 土曜
  d7: sunday sundays sonntag dimanche domingo domenica воскресенье 周日 日曜
  today: today heute hoy oggi hoje сегодня 今天 今日 ; tomorrow: tomorrow demain mañana domani amanhã завтра 明天 明日
  yesterday: yesterday gestern hier ayer ieri ontem вчера 昨天 昨日 ; spring: spring frühling ; summer: summer sommer ; winter: winter ; autumn: autumn herbst`

const valuesOf = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.split(/[;\n]/).flatMap((line) => {
      const [value = '', names = ''] = line.split(':')
      return wordsOf(names).map((name): [string, string] => [name, value.trim()])
    }),
  )

export const numberWords = valuesOf(numberText)
export const dateWords = valuesOf(monthText)
/** Months that are other words as well: they count beside a number, or with a capital within a sentence. */
export const doubtfulMonths: ReadonlySet<string> = new Set(wordsOf('may mai mars march mei marca hier'))

/** Capitalised at the beginning of a sentence without being a name, and of no weight where they come or go. */
export const plainWords: ReadonlySet<string> = new Set(
  wordsOf(`
  the a an this that these those my our your his her its their user i we you he she it they there here at from of to for with by
  about and or but if when since is are was were be been has have had does do did will would could should really also very just currently now
  still please usually often both some any every each one who which as so then than too
  der die das den dem des ein eine einen einem einer seit im am um und oder aber auch sehr ist sind war hat haben wird zu zur zum
  le la les l un une des du de depuis en et ou est sont a ont il elle nous vous el los las una unos del desde y o es son tiene ella
  lo gli i di da dal e ha sono lei lui os as um uma do da dos das tem ele ela het een sinds is zijn heeft hij zij
  w z na od i jest są ma on ona в на с и от это он она они у есть bir ve bu o için
  في من على إلى هو هي مع عن है हैं का की के को में से और यह वह`),
)

/** Words of such scripts that come and go without changing what is said. */
export const plainParts = /现在|現在|目前|已经|已經|一直|真的|とても|いつも/gu

/** Characters of scripts without spaces that carry grammar, not content. */
export const plainCharacters: ReadonlySet<string> = new Set([
  ...'的了很也都就吧啊呢着过還还是在有和与個个只一这那它他她は が を に で と も の よ ね です ます だ た て する い る'.replaceAll(
    ' ',
    '',
  ),
])
