/** Every setting of the service, each declared once, in the file of what it is about. */
import { defaultSettings } from './default-settings.ts'
import { edgeSettings } from './edge-settings.ts'
import { modelSettings } from './model-settings.ts'
import { storeSettings } from './store-settings.ts'

export const settings = { ...edgeSettings, ...storeSettings, ...modelSettings, ...defaultSettings } as const
